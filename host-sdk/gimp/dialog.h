/* The frame that the three dialogs share: the picture on the left, the panel's own controls on the right, below them the
 * job's progress or what went wrong. */
#ifndef DIALOG_H
#define DIALOG_H

#include <gtk/gtk.h>

#include "preview.h"
#include "procedures.h"
#include "run.h"

typedef struct Dialog Dialog;

/* What differs between the dialogs. */
typedef struct Panel {
    const char *go;                          /* the button's text */
    gboolean pins;                           /* whether the mouse sets pins */
    void (*fill)(Dialog *dialog, GtkWidget *side);
    void (*collect)(Dialog *dialog);         /* controls → settings */
    char *(*problem)(Dialog *dialog);        /* why it cannot start yet, or NULL; freed with g_free() */
    void (*pins_changed)(Dialog *dialog);    /* may be NULL */
    void (*close)(Dialog *dialog);           /* frees `own` */
} Panel;

extern const Panel PANEL_LEARN, PANEL_POSE, PANEL_ERASE;

struct Dialog {
    Work work;
    Picture *picture;
    Settings *settings;
    Preview *preview;
    GtkWidget *first; /* gets the keyboard first; NULL: the preview */
    gpointer own;     /* the panel's */
    struct Frame *frame;
};

/* Asks, works and puts layers into the image, until the user is done. */
RunEnd dialog_run(Work work, Picture *picture, Settings *settings, GArray *layers, GError **error);

/* To be called by a panel when something was entered. */
void dialog_changed(Dialog *dialog);
/* The same as a signal handler of any control. */
void dialog_control_changed(GtkWidget *control, Dialog *dialog);
/* Shows a sentence for the user below the controls. */
void dialog_say(Dialog *dialog, const char *sentence);

/* ---- Controls, each with a label at the left in a grid's next row ------------------------------------------- */

GtkWidget *control_entry(Dialog *dialog, GtkWidget *grid, int row, const char *label, const char *text);
/* Over the whole width, under its section's title. */
GtkWidget *control_wide_entry(Dialog *dialog, GtkWidget *grid, int row, const char *text);
GtkWidget *control_choice(Dialog *dialog, GtkWidget *grid, int row, const char *label, const char *const *names, int chosen);
/* At `column` 0 or 2 of the row. */
GtkWidget *control_choice_at(Dialog *dialog, GtkWidget *grid, int column, int row, const char *label, const char *const *names,
                             int chosen);
GtkWidget *control_number(Dialog *dialog, GtkWidget *grid, int column, int row, const char *label, double value,
                          double least, double most, double step, int digits);
/* From 0, which reads "auto". */
GtkWidget *control_number_or_auto(Dialog *dialog, GtkWidget *grid, int column, int row, const char *label, double value,
                                  double most, double step, int digits);
GtkWidget *control_check(Dialog *dialog, GtkWidget *grid, int row, const char *label, gboolean on);
/* Small text over the whole width. */
GtkWidget *control_hint(GtkWidget *grid, int row, const char *text);
/* A titled part of the panel; gives the grid inside. */
GtkWidget *control_section(GtkWidget *side, const char *title);

#endif
