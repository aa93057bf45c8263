/* Plain kernels with vectors of the compiler: a block in one of them, TOGETHER pixels at a time. */

#if VECTORS
/* A block of m pixels from pixel x on. */
INLINE void pixels_plain(const work_t *w, const int m, int block, const value_t *const *in, value_t *out, int x)
{
    const weight_t *weights = w->weights + (size_t)block * (size_t)(w->rows * w->groups * BLOCK * GROUP);
    const value_t *from[TOGETHER];
    lanes_t sums[TOGETHER];
    int i, k, g;
    UNROLLED for (i = 0; i < m; i++)
        memcpy(&sums[i], w->bias + block * BLOCK, sizeof sums[i]);
    for (k = 0; k < w->rows; k++) {
        UNROLLED for (i = 0; i < m; i++)
            from[i] = in[k] + (x + i) * w->stride * w->cell;
        for (g = 0; g < w->groups; g++, weights += BLOCK * GROUP)
            add_groups(sums, m, from, g, weights);
    }
    UNROLLED for (i = 0; i < m; i++)
        finish_lanes(w, block, &sums[i], out + (x + i) * w->out + block * BLOCK);
}

UNUSED static void product_plain(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    int block, r, x;
    for (block = 0; block < w->blocks; block++)
        for (r = 0; r < count; r++) {
            for (x = 0; x + TOGETHER <= w->pixels; x += TOGETHER)
                pixels_plain(w, TOGETHER, block, in + r * w->stride, out[r], x);
            for (; x < w->pixels; x++)
                pixels_plain(w, 1, block, in + r * w->stride, out[r], x);
        }
}

UNUSED static void depthwise_plain(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    int r, x, block, k, t;
    for (block = 0; block < w->blocks; block++)
        for (r = 0; r < count; r++)
            for (x = 0; x < w->pixels; x++) {
                const weight_t *weights = w->weights + (size_t)block * (size_t)(w->rows * w->width * BLOCK);
                lanes_t sums;
                memcpy(&sums, w->bias + block * BLOCK, sizeof sums);
                for (k = 0; k < w->rows; k++) {
                    const value_t *from = in[r * w->stride + k] + x * w->stride * w->cell + block * BLOCK;
                    for (t = 0; t < w->width; t++, weights += BLOCK, from += w->cell)
                        add_products(&sums, from, weights);
                }
                finish_lanes(w, block, &sums, out[r] + x * w->out + block * BLOCK);
            }
}
#endif
