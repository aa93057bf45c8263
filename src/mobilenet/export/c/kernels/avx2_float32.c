/* AVX2 with fused multiply-add. */

#define AVX2 __attribute__((target("avx2,fma")))

AVX2 INLINE void finish_avx2(const work_t *w, __m256 a, __m256 b, value_t *out)
{
    const __m256 low = _mm256_set1_ps(w->low), high = _mm256_set1_ps(w->high);
    _mm256_storeu_ps(out, _mm256_min_ps(_mm256_max_ps(a, low), high));
    _mm256_storeu_ps(out + 8, _mm256_min_ps(_mm256_max_ps(b, low), high));
}

/* One block of 16 channels of m pixels. */
AVX2 INLINE void block_avx2(const work_t *w, const int m, int block, const value_t *const *in, const pixels_t *p)
{
    const float *weights = w->weights + (size_t)block * (size_t)(w->rows * w->groups * BLOCK);
    __m256 a[6], b[6];
    const float *from[6];
    int i, k, g;
    UNROLLED for (i = 0; i < m; i++) {
        a[i] = _mm256_loadu_ps(w->bias + block * BLOCK);
        b[i] = _mm256_loadu_ps(w->bias + block * BLOCK + 8);
    }
    for (k = 0; k < w->rows; k++) {
        UNROLLED for (i = 0; i < m; i++)
            from[i] = in[p->row[i] + k] + p->at[i];
        for (g = 0; g < w->groups; g++, weights += BLOCK) {
            const __m256 w0 = _mm256_loadu_ps(weights), w1 = _mm256_loadu_ps(weights + 8);
            UNROLLED for (i = 0; i < m; i++) {
                const __m256 v = _mm256_broadcast_ss(from[i] + g);
                a[i] = _mm256_fmadd_ps(v, w0, a[i]);
                b[i] = _mm256_fmadd_ps(v, w1, b[i]);
            }
        }
    }
    UNROLLED for (i = 0; i < m; i++)
        finish_avx2(w, a[i], b[i], p->to[i] + block * BLOCK);
}

AVX2 UNUSED static void product_avx2(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    int block, left;
    for (block = 0; block < w->blocks; block++) {
        pixels_t p = {{0}, {0}, {NULL}, 0, 0};
        for (left = count * w->pixels; left > 0; left -= 6) {
            next_pixels(w, out, left, 6, &p);
            if (left > 3)
                block_avx2(w, 6, block, in, &p);
            else if (left > 1)
                block_avx2(w, 3, block, in, &p);
            else
                block_avx2(w, 1, block, in, &p);
        }
    }
}

AVX2 UNUSED static void depthwise_avx2(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    const int cell = w->cell, along = w->stride * cell;
    int half, r, x, k, t;
    for (half = 0; half < 2 * w->blocks; half++) {
        const float *weights = w->weights + (size_t)(half / 2) * 9 * BLOCK + half % 2 * 8;
        const __m256 bias = _mm256_loadu_ps(w->bias + half * 8);
        const __m256 low = _mm256_set1_ps(w->low), high = _mm256_set1_ps(w->high);
        __m256 taps[9];
        UNROLLED for (t = 0; t < 9; t++)
            taps[t] = _mm256_loadu_ps(weights + t * BLOCK);
        for (r = 0; r < count; r++) {
            const float *from[3];
            float *to = out[r] + half * 8;
            for (k = 0; k < 3; k++)
                from[k] = in[r * w->stride + k] + half * 8;
            for (x = 0; x < w->pixels; x++, to += w->out) {
                __m256 a = bias, b = _mm256_mul_ps(taps[3], _mm256_loadu_ps(from[1]));
                __m256 c = _mm256_mul_ps(taps[6], _mm256_loadu_ps(from[2]));
                UNROLLED for (t = 0; t < 3; t++)
                    a = _mm256_fmadd_ps(taps[t], _mm256_loadu_ps(from[0] + t * cell), a);
                UNROLLED for (t = 1; t < 3; t++) {
                    b = _mm256_fmadd_ps(taps[3 + t], _mm256_loadu_ps(from[1] + t * cell), b);
                    c = _mm256_fmadd_ps(taps[6 + t], _mm256_loadu_ps(from[2] + t * cell), c);
                }
                a = _mm256_add_ps(a, _mm256_add_ps(b, c));
                _mm256_storeu_ps(to, _mm256_min_ps(_mm256_max_ps(a, low), high));
                from[0] += along;
                from[1] += along;
                from[2] += along;
            }
        }
    }
}

AVX2 UNUSED static void average_avx2(const work_t *w, const value_t *const *in, value_t *out, int height)
{
    average(w, in, out, height);
}
