/* The few things that GTK 2 and GTK 3 do differently. gtk2.c and gtk3.c implement it. */
#ifndef TOOLKIT_H
#define TOOLKIT_H

#include <gtk/gtk.h>

/* Before anything else of this file. */
void ui_init(void);
/* Keeps a window above GIMP's own. */
void ui_transient(GtkWidget *window);

/* GIMP's own kind of dialog, without buttons. */
GtkWidget *ui_dialog(const char *title, const char *role);
/* A titled part of a dialog; holds one widget. */
GtkWidget *ui_section(const char *title);

GtkWidget *ui_row(int spacing);
GtkWidget *ui_column(int spacing);
GtkWidget *ui_grid(void);
/* `wide`: takes what room there is. */
void ui_grid_put(GtkWidget *grid, GtkWidget *child, int column, int row, int columns, gboolean wide);
void ui_label_left(GtkWidget *label);
void ui_label_width(GtkWidget *label, int characters);
/* Takes no more width than it needs, whatever is inside. */
void ui_keep_narrow(GtkWidget *widget);
void ui_scroll_add(GtkWidget *scrolled, GtkWidget *child);
/* Gives a scrolled widget the height that its child likes best, as far as the screen has it: `rest` pixels of the window lie
 * above and below. */
void ui_scroll_fit(GtkWidget *scrolled, GtkWidget *child, int rest);
/* Shows this in an entry while there is nothing in it. */
void ui_placeholder(GtkWidget *entry, const char *text);
/* Cuts long texts of a list to choose from, rather than growing with them. */
void ui_shorten(GtkWidget *choice);
/* A sentence that both editors' plug-ins say, with a value for its `mark`. Free with g_free(). */
char *ui_sentence(const char *sentence, const char *mark, const char *value);
/* A progress bar that shows text. */
GtkWidget *ui_progress(void);

/* Paints a drawing area of this size. */
typedef void (*UiPaint)(cairo_t *cairo, int width, int height, gpointer data);
void ui_on_paint(GtkWidget *area, UiPaint paint, gpointer data);

#endif
