#include "pixels.h"

#include <string.h>

#include "engine.h"
#include "host.h"
#include "words.h"

/* The same pixels with alpha (if asked for) and with samples of type `type`. Babl's names are MODEL TYPE, such as
 * "R'G'B'A u16" or "Y float"; only models without alpha end otherwise. */
static const Babl *format_like(const Babl *format, gboolean alpha, const char *type) {
    const char *name = babl_format_get_encoding(format);
    const char *end = strchr(name, ' ');
    if (!end) return NULL;
    char *other = g_strdup_printf("%.*s%s %s", (int)(end - name), name,
                                  alpha && !babl_format_has_alpha(format) ? "A" : "", type ? type : end + 1);
    const Babl *like = babl_format_with_space(other, babl_format_get_space(format));
    g_free(other);
    return like;
}

static gboolean format_read(Picture *picture, GError **error) {
    static const ReposeChannels CHANNELS[] = {0, REPOSE_CHANNELS_GREY, REPOSE_CHANNELS_GREY_ALPHA, REPOSE_CHANNELS_RGB,
                                              REPOSE_CHANNELS_RGBA};
    int count = babl_format_get_n_components(picture->own);
    const char *type = babl_get_name(babl_format_get_type(picture->own, 0));
    picture->format = picture->own;
    if (babl_format_is_palette(picture->own) || count < 1 || count > 4) {
        g_set_error_literal(error, SHIM_ERROR, REPOSE_CALLER,
                            _("Repose cannot work on indexed colours: convert the image with Image ▸ Mode ▸ RGB first."));
        return FALSE;
    }
    if (strcmp(type, "u8") == 0) {
        picture->depth = REPOSE_DEPTH_U8;
    } else if (strcmp(type, "u16") == 0) {
        picture->depth = REPOSE_DEPTH_U16;
    } else if (strcmp(type, "half") == 0) {
        picture->depth = REPOSE_DEPTH_F16;
    } else {
        picture->depth = REPOSE_DEPTH_F32; /* u32 and double go through float */
        if (strcmp(type, "float") != 0) picture->format = format_like(picture->own, FALSE, "float");
    }
    picture->channels = CHANNELS[count];
    picture->icc = host_profile(picture->image);
    gboolean linear = !strpbrk(babl_format_get_encoding(picture->own), "'~");
    picture->space = picture->icc ? REPOSE_SPACE_ICC : linear ? REPOSE_SPACE_LINEAR_SRGB : REPOSE_SPACE_SRGB;
    return picture->format != NULL;
}

gboolean picture_select(Picture *picture, GError **error) {
    GeglRectangle bounds;
    picture->selected = host_selection_bounds(picture->image, &bounds);
    if (!picture->selected || gegl_rectangle_intersect(&picture->selection, &bounds, &picture->place)) return TRUE;
    g_set_error_literal(error, SHIM_ERROR, REPOSE_CALLER,
                        _("The selection lies outside the active layer: select on the layer, or make another one active."));
    return FALSE;
}

gboolean picture_open(Picture *picture, gint32 image, gint32 drawable, GError **error) {
    memset(picture, 0, sizeof *picture);
    picture->image = image;
    picture->layer = host_layer_of(image, drawable, error);
    if (picture->layer == NONE) return FALSE;
    picture->place = host_layer_place(picture->layer);
    picture->own = host_layer_format(picture->layer);
    return format_read(picture, error) && picture_select(picture, error);
}

void picture_close(Picture *picture) {
    if (picture->icc) g_bytes_unref(picture->icc);
    memset(picture, 0, sizeof *picture);
}

gboolean picture_whole(Picture *picture, GError **error) {
    const char *what = NULL;
    if (!host_image_exists(picture->image)) {
        what = _("The image was closed while Repose was working, so there is no place for the result.");
    } else if (!host_layer_exists(picture->image, picture->layer)) {
        what = _("The layer was removed while Repose was working. Nothing was changed.");
    } else {
        GeglRectangle now = host_layer_place(picture->layer);
        if (now.width != picture->place.width || now.height != picture->place.height ||
            host_layer_format(picture->layer) != picture->own)
            what = _("The layer's size, precision or colours were changed while Repose was working. Nothing was added: "
                     "start again.");
        picture->place = now;
    }
    if (what) g_set_error_literal(error, SHIM_ERROR, REPOSE_CALLER, what);
    return !what;
}

/* Copies a rectangle of a drawable. NULL and an error if there is not enough memory. */
static guchar *copy(GeglBuffer *from, const GeglRectangle *rect, const Babl *format, gsize *stride, GError **error) {
    *stride = (gsize)rect->width * (gsize)babl_format_get_bytes_per_pixel(format);
    guchar *to = g_try_malloc(*stride * (gsize)rect->height);
    if (to)
        gegl_buffer_get(from, rect, 1.0, format, to, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
    else
        g_set_error_literal(error, SHIM_ERROR, REPOSE_DEVICE, _("There is not enough memory to copy the layer."));
    return to;
}

static gboolean read_layer(const Picture *picture, gint32 layer, const GeglRectangle *rect, const Babl *format,
                           Reading *reading, GError **error) {
    gsize stride = 0, icc_size = 0;
    GeglBuffer *buffer = host_pixels(layer);
    memset(reading, 0, sizeof *reading);
    reading->pixels = copy(buffer, rect, format, &stride, error);
    g_object_unref(buffer);
    reading->picture = (ReposePicture){
        .struct_size = sizeof(ReposePicture),
        .width = (uint32_t)rect->width,
        .height = (uint32_t)rect->height,
        .depth = picture->depth,
        .channels = picture->channels,
        .space = picture->space,
        .pixels = reading->pixels,
        .pixels_size = stride * (gsize)rect->height,
        .stride = stride,
        .icc = picture->icc ? g_bytes_get_data(picture->icc, &icc_size) : NULL,
    };
    reading->picture.icc_size = icc_size;
    return reading->pixels != NULL;
}

const Babl *mask_format(ReposeDepth depth) {
    return babl_format(depth == REPOSE_DEPTH_U8 ? "Y u8" : depth == REPOSE_DEPTH_U16 ? "Y u16" : "Y float");
}

static gboolean read_selection(const Picture *picture, Reading *reading, GError **error) {
    gsize stride = 0;
    GeglBuffer *buffer = host_selection_pixels(picture->image);
    const char *type = babl_get_name(babl_format_get_type(gegl_buffer_get_format(buffer), 0));
    ReposeDepth depth = strcmp(type, "u8") == 0    ? REPOSE_DEPTH_U8
                        : strcmp(type, "u16") == 0 ? REPOSE_DEPTH_U16
                                                   : REPOSE_DEPTH_F32;
    reading->samples = copy(buffer, &picture->selection, mask_format(depth), &stride, error);
    g_object_unref(buffer);
    reading->selection = (ReposeSelection){
        .struct_size = sizeof(ReposeSelection),
        .depth = depth,
        .x = picture->selection.x - picture->place.x,
        .y = picture->selection.y - picture->place.y,
        .width = (uint32_t)picture->selection.width,
        .height = (uint32_t)picture->selection.height,
        .samples = reading->samples,
        .samples_size = stride * (gsize)picture->selection.height,
        .stride = stride,
    };
    return reading->samples != NULL;
}

gboolean picture_read(const Picture *picture, Reading *reading, GError **error) {
    GeglRectangle all = {0, 0, picture->place.width, picture->place.height};
    return read_layer(picture, picture->layer, &all, picture->format, reading, error) &&
           (!picture->selected || read_selection(picture, reading, error));
}

gboolean picture_read_guide(const Picture *picture, gint32 guide, Reading *reading, GError **error) {
    GeglRectangle there = host_layer_place(guide);
    GeglRectangle rect = {picture->place.x - there.x, picture->place.y - there.y, picture->place.width,
                          picture->place.height};
    const Babl *format = format_like(picture->format, TRUE, NULL);
    if (!read_layer(picture, guide, &rect, format, reading, error)) return FALSE;
    if (reading->picture.channels == REPOSE_CHANNELS_GREY) reading->picture.channels = REPOSE_CHANNELS_GREY_ALPHA;
    if (reading->picture.channels == REPOSE_CHANNELS_RGB) reading->picture.channels = REPOSE_CHANNELS_RGBA;
    return TRUE;
}

void reading_clear(Reading *reading) {
    g_free(reading->pixels);
    g_free(reading->samples);
    memset(reading, 0, sizeof *reading);
}
