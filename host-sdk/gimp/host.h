/* What the rest of the shim needs from GIMP. gimp2.c and gimp3.c implement it; no other file knows which GIMP this is.
 * Images, layers, masks and paths are GIMP's own numbers. Main thread only. */
#ifndef HOST_H
#define HOST_H

#include <gegl.h>
#include <glib.h>

#include "procedures.h"

/* The path of this executable. */
const char *host_executable(void);

gboolean host_image_exists(gint32 image);
/* Whether it is (still) a layer of this image. */
gboolean host_layer_exists(gint32 image, gint32 layer);

/* The layer that a procedure called on `drawable` works on: the layer itself, or that of a layer mask. NONE and an error
 * that says what to do for anything without pixels of its own. */
gint32 host_layer_of(gint32 image, gint32 drawable, GError **error);

/* Where the layer lies in the image. */
GeglRectangle host_layer_place(gint32 layer);
/* The name; free with g_free(). */
char *host_layer_name(gint32 layer);
/* Format of its pixels with the image's colour space. */
const Babl *host_layer_format(gint32 layer);
/* Pixels of a layer or mask, to read and write; unref it, then call host_pixels_written() if written to. */
GeglBuffer *host_pixels(gint32 drawable);
void host_pixels_written(gint32 drawable);

/* All layers that are no groups, top first; free with g_free(). */
gint32 *host_layers(gint32 image, guint *count);

/* The selection's bounds in the image; FALSE if nothing is selected. */
gboolean host_selection_bounds(gint32 image, GeglRectangle *bounds);
GeglBuffer *host_selection_pixels(gint32 image);

/* The ICC profile that was given to the image, or NULL if it has none. */
GBytes *host_profile(gint32 image);

/* A layer of the image's own kind, with or without alpha, put directly above the layer `above`. `place` is in image
 * pixels. NONE on failure. */
gint32 host_layer_insert(gint32 image, gint32 above, const char *name, const GeglRectangle *place, gboolean alpha,
                         gboolean visible);
/* A layer mask for it; NONE on failure. */
gint32 host_mask_add(gint32 layer);
void host_layer_remove(gint32 image, gint32 layer);
/* Makes it the active layer. */
void host_layer_activate(gint32 image, gint32 layer);

void host_undo_begin(gint32 image);
void host_undo_end(gint32 image);
/* Shows what has changed. */
void host_redraw(void);

/* A note on the image that is saved with it and undone with it; NULL if there is none. Free with g_free(). */
char *host_image_note(gint32 image, const char *name);
void host_image_note_set(gint32 image, const char *name, const char *text);
/* A note that GIMP keeps until it ends; it belongs to no image. */
char *host_note(const char *name);
void host_note_set(const char *name, const char *text);

/* Points of the active path: six numbers for each anchor (handle before, anchor, handle after), x then y, in image
 * pixels. An array of double, or NULL if no path is active. */
GArray *host_path_points(gint32 image);

/* GIMP's own progress bar, for calls without a dialog. */
void host_progress_begin(const char *text);
void host_progress(const char *text, double fraction);
void host_progress_end(void);

/* Shows a sentence the way GIMP shows its own. */
void host_message(const char *text);

#endif
