#include "canvas.h"

#include <math.h>

#include "engine.h"
#include "host.h"
#include "work.h"

View view_fit(const GeglRectangle *part, int width, int height) {
    View view = {.width = width, .height = height};
    view.scale = MIN((double)width / MAX(part->width, 1), (double)height / MAX(part->height, 1));
    view.x = part->x + part->width / 2.0 - width / 2.0 / view.scale;
    view.y = part->y + part->height / 2.0 - height / 2.0 / view.scale;
    return view;
}

/* What the view shows of a buffer whose pixel 0, 0 lies at `x`, `y` of the layer. */
static cairo_surface_t *surface(GeglBuffer *from, double x, double y, const View *view, cairo_format_t kind) {
    cairo_surface_t *to = cairo_image_surface_create(kind, view->width, view->height);
    GeglRectangle rect = {(int)floor((view->x - x) * view->scale + 0.5), (int)floor((view->y - y) * view->scale + 0.5),
                          view->width, view->height};
    if (cairo_surface_status(to) != CAIRO_STATUS_SUCCESS) return to;
    cairo_surface_flush(to);
    gegl_buffer_get(from, &rect, view->scale, babl_format(kind == CAIRO_FORMAT_A8 ? "Y u8" : "cairo-ARGB32"),
                    cairo_image_surface_get_data(to), cairo_image_surface_get_stride(to), GEGL_ABYSS_NONE);
    cairo_surface_mark_dirty(to);
    return to;
}

cairo_surface_t *canvas_picture(const Picture *picture, const View *view) {
    GeglBuffer *buffer = host_pixels(picture->layer);
    cairo_surface_t *to = surface(buffer, 0, 0, view, CAIRO_FORMAT_ARGB32);
    g_object_unref(buffer);
    return to;
}

cairo_surface_t *canvas_selection(const Picture *picture, const View *view) {
    if (!picture->selected) return NULL;
    GeglBuffer *buffer = host_selection_pixels(picture->image);
    cairo_surface_t *to = surface(buffer, -picture->place.x, -picture->place.y, view, CAIRO_FORMAT_A8);
    g_object_unref(buffer);
    return to;
}

/* A buffer over memory of the job; only ever read. */
static GeglBuffer *buffer_of(gconstpointer samples, const Babl *format, const ReposeLayer *layer, gsize stride) {
    GeglRectangle all = {0, 0, (int)layer->width, (int)layer->height};
    return gegl_buffer_linear_new_from_data((gpointer)(guintptr)samples, format, &all, (int)stride, NULL, NULL);
}

void canvas_result(cairo_t *cairo, const Picture *picture, const ReposeJob *job, guint candidate, const View *view) {
    ReposeJobStatus status = work_status(job);
    for (guint i = 0; i < status.layer_count; i++) {
        ReposeLayer layer = work_layer(job, i);
        if (!layer.pixels || layer.candidate != candidate) continue;
        GeglBuffer *pixels = buffer_of(layer.pixels, picture->format, &layer, layer.stride);
        GeglBuffer *mask = buffer_of(layer.mask, mask_format(layer.mask_depth), &layer, layer.mask_stride);
        cairo_surface_t *colours = surface(pixels, layer.x, layer.y, view, CAIRO_FORMAT_ARGB32);
        cairo_surface_t *cover = surface(mask, layer.x, layer.y, view, CAIRO_FORMAT_A8);
        cairo_set_source_surface(cairo, colours, 0, 0);
        cairo_mask_surface(cairo, cover, 0, 0);
        cairo_surface_destroy(colours);
        cairo_surface_destroy(cover);
        g_object_unref(pixels);
        g_object_unref(mask);
    }
}

cairo_surface_t *canvas_preview(const ReposeJob *job) {
    uint32_t width = 0, height = 0;
    ReposeBytes *pixels = NULL;
    if (engine_api()->job_preview(job, &width, &height, &pixels) != REPOSE_OK) return NULL;
    cairo_surface_t *to = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, (int)width, (int)height);
    if (cairo_surface_status(to) == CAIRO_STATUS_SUCCESS && pixels->size == (size_t)width * height * 4) {
        cairo_surface_flush(to);
        babl_process_rows(babl_fish(babl_format("R'G'B'A u8"), babl_format("cairo-ARGB32")), pixels->data, (int)width * 4,
                          cairo_image_surface_get_data(to), cairo_image_surface_get_stride(to), (long)width, (int)height);
        cairo_surface_mark_dirty(to);
    }
    engine_api()->bytes_free(pixels);
    return to;
}
