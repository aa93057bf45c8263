/* Layers make rows of their planes when other layers need them: a plane that is kept whole is made at once, one of which
 * a few rows are kept is made as far as its reader has come. */

static value_t *row_of(value_t *arena, const layer_t *l, int y)
{
    return arena + l->at + (size_t)(y % l->kept) * (size_t)l->row;
}

/* The rows that a layer makes next: how many, from row *y of its plane on. */
static int next_rows(const layer_t *l, int made)
{
    const int left = l->top + l->height - made;
    if (made < l->top || left <= 0)
        return 1;
    return left < l->step ? left : l->step;
}

static int is_padding(const layer_t *l, int y)
{
    return y < l->top || y >= l->top + l->height;
}

/* An input of which layer n needs more rows before it can make its next ones; -1 if there is none. */
static int lacking(const int *made, int n)
{
    const layer_t *l = &layers[n];
    const int y = made[n] - l->top, count = next_rows(l, made[n]);
    int i;
    if (l->kind == PIXELS || is_padding(l, made[n]))
        return -1;
    for (i = l->first; i < l->first + l->inputs; i++) {
        const layer_t *from = &layers[inputs[i].layer];
        int needed = inputs[i].row + (y + count - 1) * l->stride + l->window;
        if (needed > from->padded)
            needed = from->padded;
        if (made[inputs[i].layer] < needed)
            return inputs[i].layer;
    }
    return -1;
}

static void concatenate(value_t *arena, const layer_t *l, value_t *out, int y)
{
    int i, x, done = 0;
    for (i = l->first; i < l->first + l->inputs; i++) {
        const layer_t *from = &layers[inputs[i].layer];
        const value_t *in = row_of(arena, from, inputs[i].row + y) + inputs[i].column;
        for (x = 0; x < l->width; x++)
            memcpy(out + x * l->cell + done, in + x * from->cell, sizeof(value_t) * (size_t)inputs[i].channels);
        done += inputs[i].channels;
    }
}

static void compute(const kernels_t *k, value_t *arena, const layer_t *l, int y, int count, value_t *const *out)
{
    const value_t *in[MOST_ROWS];
    value_t *tile[MOST_STEP];
    const work_t *w = &works[l->work];
    const input_t *from = &inputs[l->first];
    const int rows = (count - 1) * l->stride + l->window;
    int i;
    for (i = 0; i < rows; i++) {
        const int at = from->row + y * l->stride + i;
#if SMALL
        if ((l->kind == DEPTHWISE || l->kind == SEPARABLE) && is_padding(&layers[from->layer], at)) {
            in[i] = NULL;
            continue;
        }
#endif
        in[i] = row_of(arena, &layers[from->layer], at) + from->column;
    }
    switch (l->kind) {
    case PRODUCT:
        k->product(w, in, out, count);
        break;
    case DEPTHWISE:
        (w->rows == 3 && w->width == 3 ? k->depthwise : depthwise_plain)(w, in, out, count);
        break;
    case SEPARABLE:
        for (i = 0; i < count; i++)
            tile[i] = arena + TILE_AT + (size_t)i * (size_t)(w->pixels * w->out);
        (w->rows == 3 && w->width == 3 ? k->depthwise : depthwise_plain)(w, in, tile, count);
        k->product(w + 1, (const value_t *const *)tile, out, count);
        break;
    default:
        k->average(w, in, out[0], rows);
    }
}

static void make_rows(const kernels_t *k, value_t *arena, const uint8_t *rgb, int *made, int n)
{
    const layer_t *l = &layers[n];
    const int y = made[n], count = next_rows(l, y), around = l->row - l->left - l->width * l->cell;
    value_t *out[MOST_STEP];
    int i;
    made[n] += count;
    if (is_padding(l, y)) {
        fill(row_of(arena, l, y), l->row, l);
        return;
    }
    out[0] = row_of(arena, l, y) + l->left;
    for (i = 1; i < count; i++)
        out[i] = row_of(arena, l, y + i) + l->left;
    if (l->kind == PIXELS)
        read_pixels(out[0], rgb + (size_t)(y - l->top) * (size_t)(l->width * 3), l->width);
    else if (l->kind == CONCATENATION)
        concatenate(arena, l, out[0], y - l->top);
    else
        compute(k, arena, l, y - l->top, count, out);
    for (i = 0; i < count; i++) {
        fill(out[i] - l->left, l->left, l);
        fill(out[i] + l->width * l->cell, around, l);
    }
}

static void run_layers(const kernels_t *k, value_t *arena, const uint8_t *rgb)
{
    int made[LAYERS], n, next, needs;
    memset(made, 0, sizeof made);
    for (n = 0; n < LAYERS; n++)
        while (layers[n].kept == layers[n].padded && made[n] < layers[n].padded) {
            for (next = n; (needs = lacking(made, next)) >= 0;)
                next = needs;
            make_rows(k, arena, rgb, made, next);
        }
}
