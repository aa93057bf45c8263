/* Products of up to 8 pixels and one or two blocks at a time, or of one pixel and four blocks, with TIER512, blocks512 and
 * pixel512 of the kernels before. */

TIER512 INLINE void next512(const work_t *w, const int m, const int n, int block, const value_t *const *in,
                            value_t *const *out, int left, pixels_t *p)
{
    next_pixels(w, out, left, m, p);
    blocks512(w, m, n, block, in, p);
}

TIER512 INLINE void pixels512(const work_t *w, const int n, int block, const value_t *const *in, value_t *const *out,
                              int count)
{
    pixels_t p = {{0}, {0}, {NULL}, 0, 0};
    int left = count * w->pixels;
    for (; left > 9 || left == 8; left -= 8)
        next512(w, 8, n, block, in, out, left, &p);
    if (left == 9) {
        /* Not 8 and 1, which takes as long as 4. */
        next512(w, 5, n, block, in, out, left, &p);
        left = 4;
    }
    if (left > 4)
        next512(w, 8, n, block, in, out, left, &p);
    else if (left > 1)
        next512(w, 4, n, block, in, out, left, &p);
    else if (left == 1)
        next512(w, 1, n, block, in, out, left, &p);
}

TIER512 UNUSED static void product512(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    int block = 0;
    if (count * w->pixels == 1)
        for (; block + 4 <= w->blocks; block += 4)
            pixel512(w, block, in, out[0]);
    for (; block + 2 <= w->blocks; block += 2)
        pixels512(w, 2, block, in, out, count);
    if (block < w->blocks)
        pixels512(w, 1, block, in, out, count);
}
