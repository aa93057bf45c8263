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
