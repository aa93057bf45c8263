/* AVX-512: a block in one register. */

#define TIER512 __attribute__((target("avx2,fma,avx512f")))

TIER512 INLINE void finish512(const work_t *w, __m512 sums, value_t *out)
{
    _mm512_storeu_ps(out, _mm512_min_ps(_mm512_max_ps(sums, _mm512_set1_ps(w->low)), _mm512_set1_ps(w->high)));
}

/* n blocks, 1 or 2, of m pixels. */
TIER512 INLINE void blocks512(const work_t *w, const int m, const int n, int block, const value_t *const *in,
                              const pixels_t *p)
{
    const size_t depth = (size_t)(w->rows * w->groups * BLOCK);
    const float *weights = w->weights + (size_t)block * depth;
    __m512 a[8], b[8];
    const float *from[8];
    int i, k, g;
    UNROLLED for (i = 0; i < m; i++) {
        a[i] = _mm512_loadu_ps(w->bias + block * BLOCK);
        if (n == 2)
            b[i] = _mm512_loadu_ps(w->bias + block * BLOCK + BLOCK);
    }
    for (k = 0; k < w->rows; k++) {
        UNROLLED for (i = 0; i < m; i++)
            from[i] = in[p->row[i] + k] + p->at[i];
        for (g = 0; g < w->groups; g++, weights += BLOCK) {
            const __m512 v = _mm512_loadu_ps(weights);
            const __m512 u = n == 2 ? _mm512_loadu_ps(weights + depth) : v;
            UNROLLED for (i = 0; i < m; i++) {
                const __m512 x = _mm512_set1_ps(from[i][g]);
                a[i] = _mm512_fmadd_ps(x, v, a[i]);
                if (n == 2)
                    b[i] = _mm512_fmadd_ps(x, u, b[i]);
            }
        }
    }
    UNROLLED for (i = 0; i < m; i++) {
        finish512(w, a[i], p->to[i] + block * BLOCK);
        if (n == 2)
            finish512(w, b[i], p->to[i] + block * BLOCK + BLOCK);
    }
}

/* Four blocks of one pixel. */
TIER512 INLINE void pixel512(const work_t *w, int block, const value_t *const *in, value_t *out)
{
    const size_t depth = (size_t)(w->rows * w->groups * BLOCK);
    const float *weights = w->weights + (size_t)block * depth;
    __m512 sums[4];
    int i, k, g;
    UNROLLED for (i = 0; i < 4; i++)
        sums[i] = _mm512_loadu_ps(w->bias + (block + i) * BLOCK);
    for (k = 0; k < w->rows; k++)
        for (g = 0; g < w->groups; g++, weights += BLOCK)
            UNROLLED for (i = 0; i < 4; i++)
                sums[i] = _mm512_fmadd_ps(_mm512_set1_ps(in[k][g]), _mm512_loadu_ps(weights + i * depth), sums[i]);
    UNROLLED for (i = 0; i < 4; i++)
        finish512(w, sums[i], out + (block + i) * BLOCK);
}

TIER512 UNUSED static void depthwise512(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    const int cell = w->cell, along = w->stride * cell;
    int block, r, x, t;
    for (block = 0; block < w->blocks; block++) {
        __m512 taps[9];
        UNROLLED for (t = 0; t < 9; t++)
            taps[t] = _mm512_loadu_ps(w->weights + (block * 9 + t) * BLOCK);
        for (r = 0; r < count; r++) {
            const float *p = in[r * w->stride] + block * BLOCK, *q = in[r * w->stride + 1] + block * BLOCK;
            const float *s = in[r * w->stride + 2] + block * BLOCK;
            float *to = out[r] + block * BLOCK;
            for (x = 0; x < w->pixels; x++, to += w->out, p += along, q += along, s += along) {
                __m512 a = _mm512_loadu_ps(w->bias + block * BLOCK);
                __m512 b = _mm512_mul_ps(taps[3], _mm512_loadu_ps(q));
                __m512 c = _mm512_mul_ps(taps[6], _mm512_loadu_ps(s));
                UNROLLED for (t = 0; t < 3; t++)
                    a = _mm512_fmadd_ps(taps[t], _mm512_loadu_ps(p + t * cell), a);
                UNROLLED for (t = 1; t < 3; t++) {
                    b = _mm512_fmadd_ps(taps[3 + t], _mm512_loadu_ps(q + t * cell), b);
                    c = _mm512_fmadd_ps(taps[6 + t], _mm512_loadu_ps(s + t * cell), c);
                }
                finish512(w, _mm512_add_ps(a, _mm512_add_ps(b, c)), to);
            }
        }
    }
}
