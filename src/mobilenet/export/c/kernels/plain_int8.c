/* Plain C: what every other tier must equal. */

/* To the nearest step, ties to even. The bounds come before the large number that rounds: with them in between, no
 * compiler may fuse the multiplication and the addition, which would round once instead of twice. */
INLINE value_t rounded(int32_t sum, float scale, const work_t *w)
{
    float value = (float)sum * scale;
    int32_t bits;
    value = value < w->low ? w->low : value;
    value = value > w->high ? w->high : value;
    value += 12582912.0f;
    memcpy(&bits, &value, 4);
    return (value_t)(bits - (0x4b400000 - w->zero));
}

INLINE void finish(const work_t *w, int block, const int32_t *sums, value_t *out)
{
    const float *scale = w->scale + block * BLOCK;
    int i;
    for (i = 0; i < LANES(w, block); i++)
        out[i] = rounded(sums[i], scale[i], w);
}

#if VECTORS
typedef int32_t lanes_t __attribute__((vector_size(64)));
typedef uint32_t fours_t __attribute__((vector_size(64)));
typedef uint8_t bytes_t __attribute__((vector_size(16)));
typedef int8_t weights_t __attribute__((vector_size(16)));

INLINE void finish_lanes(const work_t *w, int block, const lanes_t *lanes, value_t *out)
{
    int32_t sums[BLOCK];
    memcpy(sums, lanes, sizeof sums);
    finish(w, block, sums, out);
}

#define TOGETHER 2

/* sums[i] += the products of group g of from[i] for each channel of a block, of m pixels. */
INLINE void add_groups(lanes_t *sums, const int m, const value_t *const *from, int g, const weight_t *weights)
{
    fours_t fours;
    lanes_t first, second, third, fourth;
    int i;
    memcpy(&fours, weights, sizeof fours);
    first = (lanes_t)(fours << 24) >> 24;
    second = (lanes_t)(fours << 16) >> 24;
    third = (lanes_t)(fours << 8) >> 24;
    fourth = (lanes_t)fours >> 24;
    UNROLLED for (i = 0; i < m; i++) {
        const value_t *a = from[i] + GROUP * g;
        sums[i] += first * a[0] + second * a[1] + (third * a[2] + fourth * a[3]);
    }
}

INLINE void add_products(lanes_t *sums, const value_t *values, const weight_t *weights)
{
    bytes_t a;
    weights_t b;
    memcpy(&a, values, sizeof a);
    memcpy(&b, weights, sizeof b);
    *sums += __builtin_convertvector(a, lanes_t) * __builtin_convertvector(b, lanes_t);
}
#else
/* The products of a group of four values for each channel of a block. */
INLINE void add_group(int32_t *RESTRICT sums, const uint8_t *RESTRICT a, const int8_t *RESTRICT weights, const int lanes)
{
    int i;
#if PAIRS
    /* Two at a time, of 16 bits: the first and the third, the second and the fourth. */
    uint32_t four, v;
    uint16x2_t even, odd;
    memcpy(&four, a, 4);
    even = __uxtb16(four);
    odd = __uxtb16(four >> 8);
    for (i = 0; i < lanes; i++) {
        memcpy(&v, weights + 4 * i, 4);
        sums[i] = __smlad(__sxtb16(v), (int16x2_t)even, sums[i]);
        sums[i] = __smlad(__sxtb16(v >> 8), (int16x2_t)odd, sums[i]);
    }
#else
    for (i = 0; i < lanes; i++)
        sums[i] += a[0] * weights[4 * i] + a[1] * weights[4 * i + 1] + a[2] * weights[4 * i + 2] + a[3] * weights[4 * i + 3];
#endif
}

UNUSED static void product_plain(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    const int depth = w->rows * w->groups * BLOCK * GROUP;
    int32_t sums[BLOCK];
    int r, x, block, k, g;
    for (r = 0; r < count; r++)
        for (x = 0; x < w->pixels; x++)
            for (block = 0; block < w->blocks; block++) {
                const int8_t *RESTRICT weights = w->weights + (size_t)block * depth;
                memcpy(sums, w->bias + block * BLOCK, sizeof sums);
                for (k = 0; k < w->rows; k++) {
                    const uint8_t *RESTRICT a = in[r * w->stride + k] + x * w->stride * w->cell;
                    for (g = 0; g < w->groups; g++, a += GROUP, weights += BLOCK * GROUP)
                        add_group(sums, a, weights, LANES(w, block));
                }
                finish(w, block, sums, out[r] + x * w->out + block * BLOCK);
            }
}

UNUSED static void depthwise_plain(const work_t *w, const value_t *const *in, value_t *const *out, int count)
{
    int32_t sums[BLOCK];
    int r, x, block, k, t, i;
    for (block = 0; block < w->blocks; block++)
        for (r = 0; r < count; r++)
            for (x = 0; x < w->pixels; x++) {
                const int8_t *RESTRICT weights = w->weights + (size_t)block * w->rows * w->width * BLOCK;
                memcpy(sums, w->bias + block * BLOCK, sizeof sums);
                for (k = 0; k < w->rows; k++) {
                    const uint8_t *row = in[r * w->stride + k];
                    for (t = 0; t < w->width; t++, weights += BLOCK) {
                        const int at = column(w, row, x, t);
                        if (at < 0)
                            for (i = 0; i < BLOCK; i++)
                                sums[i] += w->padding * weights[i];
                        else
                            for (i = 0; i < LANES(w, block); i++)
                                sums[i] += row[at * w->cell + block * BLOCK + i] * weights[i];
                    }
                }
                finish(w, block, sums, out[r] + x * w->out + block * BLOCK);
            }
}

#endif

/* The average of a plane: the sum of its cells less their zeros, rounded as any other. */
INLINE void average(const work_t *w, const value_t *const *in, value_t *out, int height)
{
    int block, r, x, i;
    for (block = 0; block < w->blocks; block++) {
        int32_t sums[BLOCK];
        memcpy(sums, w->bias, sizeof sums);
        for (r = 0; r < height; r++)
            for (x = 0; x < w->pixels; x++)
                for (i = 0; i < LANES(w, block); i++)
                    sums[i] += in[r][x * w->cell + block * BLOCK + i];
        for (i = 0; i < LANES(w, block); i++)
            out[block * BLOCK + i] = rounded(sums[i], w->scale[0], w);
    }
}

static void average_plain(const work_t *w, const value_t *const *in, value_t *out, int height)
{
    average(w, in, out, height);
}

INLINE float real(value_t value, const output_t *o)
{
    return (float)((int)value - o->zero) * o->scale;
}

INLINE void fill(value_t *out, int count, const layer_t *l)
{
    memset(out, l->padding, (size_t)count);
}

INLINE void read_pixels(value_t *out, const uint8_t *rgb, int pixels)
{
    memcpy(out, rgb, (size_t)pixels * 3);
}
