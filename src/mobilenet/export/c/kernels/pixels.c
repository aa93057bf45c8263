/* Pixels of output, a few at a time: where each of them reads and writes. */

#define MOST_PIXELS 8

typedef struct {
    int row[MOST_PIXELS]; /* of `in` */
    int at[MOST_PIXELS];  /* values from the start of that row */
    value_t *to[MOST_PIXELS];
    int y, x; /* the next one */
} pixels_t;

/* The next m pixels, of which `left` are left; beyond the last it is taken again. */
INLINE void next_pixels(const work_t *w, value_t *const *out, int left, const int m, pixels_t *p)
{
    int i;
    if (left >= m && p->x + m <= w->pixels) {
        /* All in one row, as most are. */
        const int row = p->y * w->stride, along = w->stride * w->cell, at = p->x * along;
        value_t *to = out[p->y] + p->x * w->out;
        UNROLLED for (i = 0; i < m; i++) {
            p->row[i] = row;
            p->at[i] = at + i * along;
            p->to[i] = to + i * w->out;
        }
        p->x += m;
        if (p->x == w->pixels) {
            p->x = 0;
            p->y++;
        }
        return;
    }
    for (i = 0; i < m; i++) {
        p->row[i] = p->y * w->stride;
        p->at[i] = p->x * w->stride * w->cell;
        p->to[i] = out[p->y] + p->x * w->out;
        if (i + 1 < left && ++p->x == w->pixels) {
            p->x = 0;
            p->y++;
        }
    }
}
