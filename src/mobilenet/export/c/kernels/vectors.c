/* Products of TOGETHER pixels of a block at a time, with pixels_plain of the kernels before. */

#if VECTORS
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
#endif
