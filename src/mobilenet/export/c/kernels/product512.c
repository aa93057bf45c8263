/* Products of 8 pixels and one or two blocks at a time, with TIER512 and blocks512 of the kernels before. */

TIER512 INLINE void pixels512(const work_t *w, const int n, int block, const value_t *const *in, value_t *const *out,
                              int count)
{
    pixels_t p = {{0}, {0}, {NULL}, 0, 0};
    int left;
    for (left = count * w->pixels; left > 0; left -= 8) {
        next_pixels(w, out, left, 8, &p);
        if (left > 4)
            blocks512(w, 8, n, block, in, &p);
        else if (left > 1)
            blocks512(w, 4, n, block, in, &p);
        else
            blocks512(w, 1, n, block, in, &p);
    }
}

TIER512 UNUSED static void product512(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    int block = 0;
    for (; block + 2 <= w->blocks; block += 2)
        pixels512(w, 2, block, in, out, count);
    if (block < w->blocks)
        pixels512(w, 1, block, in, out, count);
}
