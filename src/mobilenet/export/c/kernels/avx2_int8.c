/* AVX2: products of 16-bit numbers, two of which are added in 32 bits; nothing saturates. */

#define AVX2 __attribute__((target("avx2,fma")))

/* 16 sums -> 16 values. */
AVX2 INLINE void finish_avx2(const work_t *w, int block, __m256i a, __m256i b, value_t *out)
{
    const float *scale = w->scale + block * BLOCK;
    const __m256 low = _mm256_set1_ps(w->low), high = _mm256_set1_ps(w->high);
    const __m256i zero = _mm256_set1_epi16((short)w->zero);
    __m256 x = _mm256_mul_ps(_mm256_cvtepi32_ps(a), _mm256_loadu_ps(scale));
    __m256 y = _mm256_mul_ps(_mm256_cvtepi32_ps(b), _mm256_loadu_ps(scale + 8));
    __m256i both;
    x = _mm256_min_ps(_mm256_max_ps(x, low), high);
    y = _mm256_min_ps(_mm256_max_ps(y, low), high);
    both = _mm256_packs_epi32(_mm256_cvtps_epi32(x), _mm256_cvtps_epi32(y));
    both = _mm256_permute4x64_epi64(_mm256_add_epi16(both, zero), 0xd8);
    _mm_storeu_si128((__m128i *)out, _mm_packus_epi16(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1)));
}

/* Values of up to CHUNK groups in 16 bits. */
#define CHUNK 256

AVX2 INLINE void widen_avx2(const uint8_t *in, int16_t *out, int groups)
{
    int g = 0;
    for (; g + 4 <= groups; g += 4)
        _mm256_store_si256((__m256i *)(out + 4 * g), _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(in + 4 * g))));
    for (; g < groups; g++) {
        int32_t four;
        memcpy(&four, in + 4 * g, 4);
        _mm_storel_epi64((__m128i *)(out + 4 * g), _mm_cvtepu8_epi16(_mm_cvtsi32_si128(four)));
    }
}

/* One block of 16 channels of m pixels. */
AVX2 INLINE void block_avx2(const work_t *w, const int m, int block, const value_t *const *in, const pixels_t *p,
                            int16_t (*wide)[4 * CHUNK])
{
    const int8_t *weights = w->weights + (size_t)block * (size_t)(w->rows * w->groups * 64);
    __m256i a[6], b[6];
    int i, k, g, some;
    const __m256i first = _mm256_loadu_si256((const __m256i *)(w->bias + block * BLOCK));
    const __m256i second = _mm256_loadu_si256((const __m256i *)(w->bias + block * BLOCK + 8));
    /* The order of channels that the shuffles below make: 0 1 4 5 2 3 6 7. */
    UNROLLED for (i = 0; i < m; i++) {
        a[i] = _mm256_permute4x64_epi64(first, 0xd8);
        b[i] = _mm256_permute4x64_epi64(second, 0xd8);
    }
    for (k = 0; k < w->rows; k++)
        for (g = 0; g < w->groups; g += some) {
            int j;
            some = w->groups - g < CHUNK ? w->groups - g : CHUNK;
            for (i = 0; i < m; i++)
                widen_avx2(in[p->row[i] + k] + p->at[i] + 4 * g, wide[i], some);
            for (j = 0; j < some; j++, weights += 64) {
                const __m128i *at = (const __m128i *)weights;
                const __m256 w0 = _mm256_castsi256_ps(_mm256_cvtepi8_epi16(_mm_loadu_si128(at)));
                const __m256 w1 = _mm256_castsi256_ps(_mm256_cvtepi8_epi16(_mm_loadu_si128(at + 1)));
                const __m256 w2 = _mm256_castsi256_ps(_mm256_cvtepi8_epi16(_mm_loadu_si128(at + 2)));
                const __m256 w3 = _mm256_castsi256_ps(_mm256_cvtepi8_epi16(_mm_loadu_si128(at + 3)));
                const __m256i pq = _mm256_castps_si256(_mm256_shuffle_ps(w0, w1, 0x88));
                const __m256i rs = _mm256_castps_si256(_mm256_shuffle_ps(w2, w3, 0x88));
                const __m256i pq2 = _mm256_castps_si256(_mm256_shuffle_ps(w0, w1, 0xdd));
                const __m256i rs2 = _mm256_castps_si256(_mm256_shuffle_ps(w2, w3, 0xdd));
                UNROLLED for (i = 0; i < m; i++) {
                    int32_t two[2];
                    __m256i v;
                    memcpy(two, wide[i] + 4 * j, 8);
                    v = _mm256_set1_epi32(two[0]);
                    a[i] = _mm256_add_epi32(a[i], _mm256_madd_epi16(v, pq));
                    b[i] = _mm256_add_epi32(b[i], _mm256_madd_epi16(v, rs));
                    v = _mm256_set1_epi32(two[1]);
                    a[i] = _mm256_add_epi32(a[i], _mm256_madd_epi16(v, pq2));
                    b[i] = _mm256_add_epi32(b[i], _mm256_madd_epi16(v, rs2));
                }
            }
        }
    UNROLLED for (i = 0; i < m; i++)
        finish_avx2(w, block, _mm256_permute4x64_epi64(a[i], 0xd8), _mm256_permute4x64_epi64(b[i], 0xd8),
                    p->to[i] + block * BLOCK);
}

AVX2 UNUSED static void product_avx2(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    __attribute__((aligned(32))) int16_t wide[6][4 * CHUNK];
    int block, left;
    for (block = 0; block < w->blocks; block++) {
        pixels_t p = {{0}, {0}, {NULL}, 0, 0};
        for (left = count * w->pixels; left > 0; left -= 6) {
            next_pixels(w, out, left, 6, &p);
            if (left > 3)
                block_avx2(w, 6, block, in, &p, wide);
            else if (left > 1)
                block_avx2(w, 3, block, in, &p, wide);
            else
                block_avx2(w, 1, block, in, &p, wide);
        }
    }
}

/* Two rows of one cell, interleaved in 16 bits: 8 channels each. */
AVX2 INLINE void pair_avx2(const uint8_t *p, const uint8_t *q, __m256i *a, __m256i *b)
{
    const __m128i x = _mm_loadu_si128((const __m128i *)p), y = _mm_loadu_si128((const __m128i *)q);
    *a = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(x, y));
    *b = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(x, y));
}

AVX2 INLINE void weights_avx2(const int8_t *p, const int8_t *q, __m256i *both)
{
    const __m128i x = _mm_loadu_si128((const __m128i *)p);
    const __m128i y = q ? _mm_loadu_si128((const __m128i *)q) : _mm_setzero_si128();
    both[0] = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(x, y));
    both[1] = _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(x, y));
}

AVX2 INLINE void columns_avx2(const work_t *w, int block, const int stride, const value_t *const *in, value_t *out,
                              const __m256i *k)
{
    const int cell = w->cell;
    const uint8_t *p = in[0] + block * BLOCK, *q = in[1] + block * BLOCK, *r = in[2] + block * BLOCK;
    const __m256i first = _mm256_loadu_si256((const __m256i *)(w->bias + block * BLOCK));
    const __m256i second = _mm256_loadu_si256((const __m256i *)(w->bias + block * BLOCK + 8));
    /* Of three columns: rows 0 and 1, and row 2 with that of the next column. */
    __m256i p0, p1, q0, q1, r0, r1, s0, s1, t0, t1, u0, u1;
    int x;
    pair_avx2(p, q, &p0, &p1);
    pair_avx2(p + cell, q + cell, &q0, &q1);
    pair_avx2(r, r + cell, &s0, &s1);
    pair_avx2(r + cell, r + 2 * cell, &t0, &t1);
    for (x = 0; x < w->pixels; x++) {
        __m256i a, b;
        pair_avx2(p + 2 * cell, q + 2 * cell, &r0, &r1);
        pair_avx2(r + 2 * cell, r + 3 * cell, &u0, &u1);
        a = _mm256_add_epi32(first, _mm256_madd_epi16(p0, k[0]));
        b = _mm256_add_epi32(second, _mm256_madd_epi16(p1, k[1]));
        a = _mm256_add_epi32(a, _mm256_madd_epi16(q0, k[2]));
        b = _mm256_add_epi32(b, _mm256_madd_epi16(q1, k[3]));
        a = _mm256_add_epi32(a, _mm256_madd_epi16(r0, k[4]));
        b = _mm256_add_epi32(b, _mm256_madd_epi16(r1, k[5]));
        a = _mm256_add_epi32(a, _mm256_madd_epi16(s0, k[6]));
        b = _mm256_add_epi32(b, _mm256_madd_epi16(s1, k[7]));
        a = _mm256_add_epi32(a, _mm256_madd_epi16(u0, k[8]));
        b = _mm256_add_epi32(b, _mm256_madd_epi16(u1, k[9]));
        finish_avx2(w, block, a, b, out);
        out += w->out;
        if (stride == 1) {
            p0 = q0, p1 = q1, q0 = r0, q1 = r1;
            s0 = t0, s1 = t1, t0 = u0, t1 = u1;
        } else {
            p0 = r0, p1 = r1, s0 = u0, s1 = u1;
            p += cell, q += cell, r += cell;
            pair_avx2(p + 2 * cell, q + 2 * cell, &q0, &q1);
        }
        p += cell, q += cell, r += cell;
    }
}

AVX2 UNUSED static void depthwise_avx2(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    int block, r;
    if (w->stride > 2) {
        depthwise_plain(w, in, out, count);
        return;
    }
    for (block = 0; block < w->blocks; block++) {
        const int8_t *weights = w->weights + (size_t)block * 9 * BLOCK;
        __m256i k[10];
        weights_avx2(weights, weights + 3 * BLOCK, k);
        weights_avx2(weights + BLOCK, weights + 4 * BLOCK, k + 2);
        weights_avx2(weights + 2 * BLOCK, weights + 5 * BLOCK, k + 4);
        weights_avx2(weights + 6 * BLOCK, weights + 7 * BLOCK, k + 6);
        weights_avx2(weights + 8 * BLOCK, NULL, k + 8);
        for (r = 0; r < count; r++)
            if (w->stride == 1)
                columns_avx2(w, block, 1, in + r, out[r] + block * BLOCK, k);
            else
                columns_avx2(w, block, 2, in + 2 * r, out[r] + block * BLOCK, k);
    }
}

AVX2 UNUSED static void average_avx2(const work_t *w, const value_t *const *in, value_t *out, int height)
{
    average(w, in, out, height);
}
