/* Dot products of four bytes: AVX-512 VNNI, and AVX-VNNI for processors that have only that. */

#define TIER512 __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni")))
#define VNNI256 __attribute__((target("avx2,fma,avxvnni")))

/* sum += unsigned bytes a * signed bytes b. In assembly, because gcc copies a sum to and fro around the intrinsic. */
TIER512 INLINE void dot512(__m512i *sum, __m512i a, __m512i b)
{
#if defined(__clang__)
    *sum = _mm512_dpbusd_epi32(*sum, a, b);
#else
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
#endif
}

/* What turns the sums of a block into values, in registers: a compiler must take bytes that are stored for changes of
 * anything in memory. */
typedef struct {
    __m512 scale, low, high;
    __m512i zero;
} ending512_t;

TIER512 INLINE ending512_t ending512(const work_t *w, int block)
{
    ending512_t e;
    e.scale = _mm512_loadu_ps(w->scale + block * BLOCK);
    e.low = _mm512_set1_ps(w->low);
    e.high = _mm512_set1_ps(w->high);
    e.zero = _mm512_set1_epi32(w->zero);
    return e;
}

TIER512 INLINE void finish512(const ending512_t *e, __m512i sums, value_t *out)
{
    const __m512 x = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), e->scale);
    sums = _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(x, e->low), e->high));
    _mm_storeu_si128((__m128i *)out, _mm512_cvtepi32_epi8(_mm512_add_epi32(sums, e->zero)));
}

/* n blocks, 1 or 2, of m pixels. */
TIER512 INLINE void blocks512(const work_t *w, const int m, const int n, int block, const value_t *const *in,
                              const pixels_t *p)
{
    const size_t depth = (size_t)(w->rows * w->groups * BLOCK * GROUP);
    const int8_t *weights = w->weights + (size_t)block * depth;
    __m512i a[8], b[8];
    const uint8_t *from[8];
    int i, k, g;
    UNROLLED for (i = 0; i < m; i++) {
        a[i] = _mm512_loadu_si512(w->bias + block * BLOCK);
        if (n == 2)
            b[i] = _mm512_loadu_si512(w->bias + block * BLOCK + BLOCK);
    }
    for (k = 0; k < w->rows; k++) {
        UNROLLED for (i = 0; i < m; i++)
            from[i] = in[p->row[i] + k] + p->at[i];
        for (g = 0; g < w->groups; g++, weights += BLOCK * GROUP) {
            const __m512i v = _mm512_loadu_si512(weights);
            const __m512i u = n == 2 ? _mm512_loadu_si512(weights + depth) : v;
            UNROLLED for (i = 0; i < m; i++) {
                int32_t four;
                __m512i x;
                memcpy(&four, from[i] + GROUP * g, 4);
                x = _mm512_set1_epi32(four);
                dot512(&a[i], x, v);
                if (n == 2)
                    dot512(&b[i], x, u);
            }
        }
    }
    {
        const ending512_t first = ending512(w, block), second = n == 2 ? ending512(w, block + 1) : first;
        UNROLLED for (i = 0; i < m; i++) {
            value_t *to = p->to[i] + block * BLOCK;
            finish512(&first, a[i], to);
            if (n == 2)
                finish512(&second, b[i], to + BLOCK);
        }
    }
}

/* Four blocks of one pixel. */
TIER512 INLINE void pixel512(const work_t *w, int block, const value_t *const *in, value_t *out)
{
    const size_t depth = (size_t)(w->rows * w->groups * BLOCK * GROUP);
    const int8_t *weights = w->weights + (size_t)block * depth;
    __m512i sums[4];
    int i, k, g;
    UNROLLED for (i = 0; i < 4; i++)
        sums[i] = _mm512_loadu_si512(w->bias + (block + i) * BLOCK);
    for (k = 0; k < w->rows; k++)
        for (g = 0; g < w->groups; g++, weights += BLOCK * GROUP) {
            int32_t four;
            memcpy(&four, in[k] + GROUP * g, 4);
            UNROLLED for (i = 0; i < 4; i++)
                dot512(&sums[i], _mm512_set1_epi32(four), _mm512_loadu_si512(weights + i * depth));
        }
    UNROLLED for (i = 0; i < 4; i++) {
        const ending512_t e = ending512(w, block + i);
        finish512(&e, sums[i], out + (block + i) * BLOCK);
    }
}

/* Three rows of 16 bytes -> four bytes for each channel, of which the last is anything. */
TIER512 INLINE __m512i quads512(const int8_t *p, const int8_t *q, const int8_t *r)
{
    const __m512i lanes = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    __m512i x = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)p));
    x = _mm512_inserti32x4(x, _mm_loadu_si128((const __m128i *)q), 1);
    x = _mm512_inserti32x4(x, _mm_loadu_si128((const __m128i *)r), 2);
    return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(lanes, x), bytes);
}

TIER512 INLINE void columns512(const work_t *w, int block, const int stride, const value_t *const *in, value_t *out,
                               const __m512i *k)
{
    const int cell = w->cell, pixels = w->pixels, along = w->out;
    const int8_t *p = (const int8_t *)in[0] + block * BLOCK, *q = (const int8_t *)in[1] + block * BLOCK;
    const int8_t *r = (const int8_t *)in[2] + block * BLOCK;
    const __m512i bias = _mm512_loadu_si512(w->bias + block * BLOCK), first = k[0], second = k[1], third = k[2];
    const ending512_t e = ending512(w, block);
    __m512i a = quads512(p, q, r), b = quads512(p + cell, q + cell, r + cell), c;
    int x, at = 2 * cell;
    for (x = 0; x < pixels; x++, out += along) {
        __m512i sums = bias;
        c = quads512(p + at, q + at, r + at);
        at += cell;
        dot512(&sums, a, first);
        dot512(&sums, b, second);
        dot512(&sums, c, third);
        finish512(&e, sums, out);
        if (stride == 1) {
            a = b;
            b = c;
        } else {
            a = c;
            b = quads512(p + at, q + at, r + at);
            at += cell;
        }
    }
}

TIER512 UNUSED static void depthwise512(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    int block, r, t;
    if (w->stride > 2) {
        depthwise_plain(w, in, out, count);
        return;
    }
    for (block = 0; block < w->blocks; block++) {
        const int8_t *weights = w->weights + (size_t)block * 9 * BLOCK;
        __m512i k[3];
        for (t = 0; t < 3; t++)
            k[t] = _mm512_and_si512(quads512(weights + t * BLOCK, weights + (3 + t) * BLOCK, weights + (6 + t) * BLOCK),
                                    _mm512_set1_epi32(0xffffff));
        for (r = 0; r < count; r++)
            if (w->stride == 1)
                columns512(w, block, 1, in + r, out[r] + block * BLOCK, k);
            else
                columns512(w, block, 2, in + 2 * r, out[r] + block * BLOCK, k);
    }
}

#if VNNI256_KNOWN
VNNI256 INLINE void block256(const work_t *w, const int m, int block, const value_t *const *in, const pixels_t *p)
{
    const int8_t *weights = w->weights + (size_t)block * (size_t)(w->rows * w->groups * BLOCK * GROUP);
    __m256i a[6], b[6];
    const uint8_t *from[6];
    int i, k, g;
    UNROLLED for (i = 0; i < m; i++) {
        a[i] = _mm256_loadu_si256((const __m256i *)(w->bias + block * BLOCK));
        b[i] = _mm256_loadu_si256((const __m256i *)(w->bias + block * BLOCK + 8));
    }
    for (k = 0; k < w->rows; k++) {
        UNROLLED for (i = 0; i < m; i++)
            from[i] = in[p->row[i] + k] + p->at[i];
        for (g = 0; g < w->groups; g++, weights += BLOCK * GROUP) {
            const __m256i u = _mm256_loadu_si256((const __m256i *)weights);
            const __m256i v = _mm256_loadu_si256((const __m256i *)(weights + 32));
            UNROLLED for (i = 0; i < m; i++) {
                int32_t four;
                __m256i x;
                memcpy(&four, from[i] + GROUP * g, 4);
                x = _mm256_set1_epi32(four);
                a[i] = _mm256_dpbusd_avx_epi32(a[i], x, u);
                b[i] = _mm256_dpbusd_avx_epi32(b[i], x, v);
            }
        }
    }
    UNROLLED for (i = 0; i < m; i++)
        finish_avx2(w, block, a[i], b[i], p->to[i] + block * BLOCK);
}

VNNI256 UNUSED static void product_vnni256(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    int block, left;
    for (block = 0; block < w->blocks; block++) {
        pixels_t p = {{0}, {0}, {NULL}, 0, 0};
        for (left = count * w->pixels; left > 0; left -= 6) {
            next_pixels(w, out, left, 6, &p);
            if (left > 3)
                block256(w, 6, block, in, &p);
            else if (left > 1)
                block256(w, 3, block, in, &p);
            else
                block256(w, 1, block, in, &p);
        }
    }
}
#endif
