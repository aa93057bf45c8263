/* Which kernels run: the fastest that this processor has, or those of NETWORK_TIER. */

#define PLAIN 0
#define WITH_AVX2 1
#define WITH_AVX_VNNI 2
#define WITH_AVX512 3

UNUSED static const kernels_t plain = {product_plain, depthwise_plain, average_plain};
#if DOT
static const kernels_t dot = {product_dot, depthwise_plain, average_plain};
#endif

#if X86
static const kernels_t avx2 = {product_avx2, depthwise_avx2, average_avx2};
static const kernels_t avx512 = {product512, depthwise512, average_avx2};
#define NEEDS_VNNI (!FLOAT32)
#if VNNI256_KNOWN && !FLOAT32
static const kernels_t avx_vnni = {product_vnni256, depthwise_avx2, average_avx2};
#endif

UNUSED static int best_tier(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return PLAIN;
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        (!NEEDS_VNNI || __builtin_cpu_supports("avx512vnni")))
        return WITH_AVX512;
    if (NEEDS_VNNI && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & 1u << 4)
        return WITH_AVX_VNNI;
    return WITH_AVX2;
}
#endif

static const kernels_t *chosen_kernels(void)
{
#if X86
#ifdef NETWORK_TIER
    const int tier = NETWORK_TIER;
#else
    static int found = -1;
    int tier = found;
    if (tier < 0)
        found = tier = best_tier();
#endif
    switch (tier) {
    case WITH_AVX512:
        return &avx512;
    case WITH_AVX_VNNI:
#if VNNI256_KNOWN && !FLOAT32
        return &avx_vnni;
#endif
    case WITH_AVX2:
        return &avx2;
    default:
        break;
    }
#endif
#if DOT
    return &dot;
#else
    return &plain;
#endif
}
