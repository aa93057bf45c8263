/* Which kernels run: the fastest that this processor has, or those of NETWORK_TIER. */

#define PLAIN 0
#define WITH_AVX2 1
#define WITH_AVX_VNNI 2
#define WITH_AVX512_VNNI 3

static const kernels_t plain = {product_plain, depthwise_plain};

#if X86
static const kernels_t avx2 = {product_avx2, depthwise_avx2};

UNUSED static int best_tier(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return PLAIN;
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
    case WITH_AVX2:
        return &avx2;
    }
#endif
    return &plain;
}
