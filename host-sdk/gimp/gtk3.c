/* toolkit.h for GIMP 3: GTK 3. */
#include "toolkit.h"

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

void ui_init(void) { gimp_ui_init("repose"); }

GtkWidget *ui_row(int spacing) { return gtk_box_new(GTK_ORIENTATION_HORIZONTAL, spacing); }

GtkWidget *ui_column(int spacing) { return gtk_box_new(GTK_ORIENTATION_VERTICAL, spacing); }

GtkWidget *ui_grid(void) {
    GtkWidget *grid = gtk_grid_new();
    gtk_grid_set_row_spacing(GTK_GRID(grid), 6);
    gtk_grid_set_column_spacing(GTK_GRID(grid), 6);
    return grid;
}

void ui_grid_put(GtkWidget *grid, GtkWidget *child, int column, int row, int columns, gboolean wide) {
    gtk_widget_set_hexpand(child, wide);
    gtk_widget_set_valign(child, GTK_ALIGN_CENTER);
    gtk_grid_attach(GTK_GRID(grid), child, column, row, columns, 1);
}

void ui_label_left(GtkWidget *label) { gtk_label_set_xalign(GTK_LABEL(label), 0); }

void ui_label_width(GtkWidget *label, int characters) {
    gtk_label_set_width_chars(GTK_LABEL(label), characters);
    gtk_label_set_max_width_chars(GTK_LABEL(label), characters);
}

GtkWidget *ui_progress(void) {
    GtkWidget *bar = gtk_progress_bar_new();
    gtk_progress_bar_set_show_text(GTK_PROGRESS_BAR(bar), TRUE);
    gtk_widget_set_valign(bar, GTK_ALIGN_CENTER);
    return bar;
}

void ui_keep_narrow(GtkWidget *widget) { gtk_widget_set_hexpand(widget, FALSE); }

void ui_scroll_add(GtkWidget *scrolled, GtkWidget *child) {
    /* A bar that only shows itself below the mouse would hide that there is more. */
    gtk_scrolled_window_set_overlay_scrolling(GTK_SCROLLED_WINDOW(scrolled), FALSE);
    gtk_container_add(GTK_CONTAINER(scrolled), child);
}

void ui_placeholder(GtkWidget *entry, const char *text) { gtk_entry_set_placeholder_text(GTK_ENTRY(entry), text); }

void ui_scroll_fit(GtkWidget *scrolled, GtkWidget *child, int rest) {
    GdkRectangle room = {0, 0, 0, 768};
    GdkMonitor *monitor = gdk_display_get_monitor(gtk_widget_get_display(scrolled), 0);
    int liked = 0, width = 0;
    if (monitor) gdk_monitor_get_workarea(monitor, &room);
    gtk_widget_get_preferred_width(child, NULL, &width);
    gtk_widget_get_preferred_height_for_width(child, MAX(width, gtk_widget_get_allocated_width(child)), NULL, &liked);
    gtk_widget_set_size_request(scrolled, -1, MIN(liked, room.height - rest));
}

typedef struct Painter {
    UiPaint paint;
    gpointer data;
} Painter;

static gboolean draw(GtkWidget *area, cairo_t *cairo, gpointer data) {
    Painter *painter = data;
    painter->paint(cairo, gtk_widget_get_allocated_width(area), gtk_widget_get_allocated_height(area), painter->data);
    return TRUE;
}

static void painter_free(gpointer data, GClosure *closure) {
    (void)closure;
    g_free(data);
}

void ui_on_paint(GtkWidget *area, UiPaint paint, gpointer data) {
    Painter *painter = g_new(Painter, 1);
    *painter = (Painter){paint, data};
    g_signal_connect_data(area, "draw", G_CALLBACK(draw), painter, painter_free, 0);
}
