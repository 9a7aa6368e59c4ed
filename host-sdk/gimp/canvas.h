/* Pixels as cairo surfaces for the dialogs, scaled and brought into sRGB by GEGL. */
#ifndef CANVAS_H
#define CANVAS_H

#include <cairo.h>

#include "pixels.h"

/* What part of the layer a drawing shows: `x`, `y` is its top left corner in the layer, and each pixel of the layer is
 * `scale` wide. */
typedef struct View {
    double x;
    double y;
    double scale;
    int width;
    int height;
} View;

/* The view that shows all of `part` in the middle of width × height. */
View view_fit(const GeglRectangle *part, int width, int height);

/* The layer. Destroy it with cairo_surface_destroy(). */
cairo_surface_t *canvas_picture(const Picture *picture, const View *view);

/* The selection's coverage (A8), or NULL if nothing is selected. */
cairo_surface_t *canvas_selection(const Picture *picture, const View *view);

/* Puts the layers of one candidate of a finished job over what is there. */
void canvas_result(cairo_t *cairo, const Picture *picture, const ReposeJob *job, guint candidate, const View *view);

/* The newest preview of a job at work, or NULL. */
cairo_surface_t *canvas_preview(const ReposeJob *job);

#endif
