/* The active layer and the selection in the words of repose.h. Pixels are copied by GEGL in the image's own precision and
 * colour space; nothing is computed here. */
#ifndef PIXELS_H
#define PIXELS_H

#include <gegl.h>
#include <glib.h>

#include "repose.h"

/* The layer a job works on, as it was when the job began. */
typedef struct Picture {
    gint32 image;
    gint32 layer;
    GeglRectangle place;    /* of the layer in the image */
    const Babl *own;        /* the layer's own format */
    const Babl *format;     /* the one that is passed on: `own`, or its float twin where the contract has none */
    ReposeDepth depth;
    ReposeChannels channels;
    ReposeSpace space;
    GBytes *icc;            /* with REPOSE_SPACE_ICC */
    gboolean selected;
    GeglRectangle selection; /* the part of the selection on the layer, in image pixels */
} Picture;

/* Pixels read for one request, and the structs that point to them. */
typedef struct Reading {
    ReposePicture picture;
    ReposeSelection selection;
    guchar *pixels;
    guchar *samples;
} Reading;

/* Looks at the layer that `drawable` stands for. Close it with picture_close() also after an error. */
gboolean picture_open(Picture *picture, gint32 image, gint32 drawable, GError **error);
void picture_close(Picture *picture);

/* Looks at the selection again. An error if there is one that lies beside the layer. */
gboolean picture_select(Picture *picture, GError **error);

/* Reads the layer, and the selection if there is one. Free with reading_clear() also after an error. */
gboolean picture_read(const Picture *picture, Reading *reading, GError **error);

/* Reads another layer, with alpha, as it lies over this one. */
gboolean picture_read_guide(const Picture *picture, gint32 guide, Reading *reading, GError **error);
void reading_clear(Reading *reading);

/* Whether image and layer are still there, of the same size and format. Takes the layer's new place if it was moved. */
gboolean picture_whole(Picture *picture, GError **error);

/* Format of a mask's samples. */
const Babl *mask_format(ReposeDepth depth);

#endif
