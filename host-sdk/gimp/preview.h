/* The picture in a dialog: what is selected, pins to drag, the job's preview, a result. */
#ifndef PREVIEW_H
#define PREVIEW_H

#include <gtk/gtk.h>

#include "pixels.h"

typedef struct Preview Preview;

/* Told when a pin was set, moved, removed or chosen. */
typedef void (*PreviewChanged)(gpointer data);

/* Shows `picture`, which must outlive it. `pins`: whether the mouse sets them. */
Preview *preview_new(const Picture *picture, gboolean pins, PreviewChanged changed, gpointer data);
void preview_free(Preview *preview);

/* The widget to put somewhere. */
GtkWidget *preview_widget(Preview *preview);

/* Reads layer and selection again. */
void preview_refresh(Preview *preview);

/* The pins (ReposePin, in image pixels), and the one that is chosen or NONE. Call preview_pins_changed() after a change. */
GArray *preview_pins(Preview *preview);
int preview_chosen(const Preview *preview);
void preview_pins_changed(Preview *preview);
void preview_remove_pin(Preview *preview, int index);

/* Shows the job at work; NULL: the picture again. */
void preview_work(Preview *preview, const ReposeJob *job);
/* Shows a result over the picture. */
void preview_result(Preview *preview, const ReposeJob *job, guint candidate);

#endif
