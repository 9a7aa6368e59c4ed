/* toolkit.h for GIMP 2.10: GTK 2. */
#include "toolkit.h"

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

void ui_init(void) {
    gimp_ui_init("repose", FALSE);
    /* An expander that moves has its size only later, without telling. */
    g_object_set(gtk_settings_get_default(), "gtk-enable-animations", FALSE, NULL);
}

GtkWidget *ui_row(int spacing) { return gtk_hbox_new(FALSE, spacing); }

GtkWidget *ui_column(int spacing) { return gtk_vbox_new(FALSE, spacing); }

GtkWidget *ui_grid(void) {
    GtkWidget *grid = gtk_table_new(1, 1, FALSE);
    gtk_table_set_row_spacings(GTK_TABLE(grid), 6);
    gtk_table_set_col_spacings(GTK_TABLE(grid), 6);
    return grid;
}

void ui_grid_put(GtkWidget *grid, GtkWidget *child, int column, int row, int columns, gboolean wide) {
    gtk_table_attach(GTK_TABLE(grid), child, (guint)column, (guint)(column + columns), (guint)row, (guint)row + 1,
                     wide ? GTK_EXPAND | GTK_FILL : GTK_FILL, 0, 0, 0);
}

void ui_label_left(GtkWidget *label) { gtk_misc_set_alignment(GTK_MISC(label), 0, 0.5f); }

/* GTK 2 wraps a label at its requested width. */
void ui_label_width(GtkWidget *label, int characters) {
    PangoContext *context = gtk_widget_get_pango_context(label);
    PangoFontMetrics *metrics = pango_context_get_metrics(context, NULL, NULL);
    gtk_widget_set_size_request(label, PANGO_PIXELS(characters * pango_font_metrics_get_approximate_char_width(metrics)), -1);
    pango_font_metrics_unref(metrics);
}

GtkWidget *ui_progress(void) { return gtk_progress_bar_new(); }

void ui_keep_narrow(GtkWidget *widget) { (void)widget; }

void ui_scroll_add(GtkWidget *scrolled, GtkWidget *child) {
    gtk_scrolled_window_add_with_viewport(GTK_SCROLLED_WINDOW(scrolled), child);
    gtk_viewport_set_shadow_type(GTK_VIEWPORT(gtk_bin_get_child(GTK_BIN(scrolled))), GTK_SHADOW_NONE);
}

/* GTK 2 has none of its own. */
static gboolean paint_placeholder(GtkWidget *entry, GdkEventExpose *event, gpointer data) {
    const char *text = g_object_get_data(G_OBJECT(entry), "placeholder");
    int x = 0, y = 0;
    (void)data;
    if (!text || gtk_entry_get_text_length(GTK_ENTRY(entry)) || event->window != gtk_entry_get_text_window(GTK_ENTRY(entry)))
        return FALSE;
    PangoLayout *layout = gtk_widget_create_pango_layout(entry, text);
    int left = 0, top = 0;
    gtk_entry_get_layout_offsets(GTK_ENTRY(entry), &left, &top);
    gdk_window_get_position(event->window, &x, &y);
    gtk_paint_layout(gtk_widget_get_style(entry), event->window, GTK_STATE_INSENSITIVE, FALSE, &event->area, entry, "entry",
                     left - x, top - y, layout);
    g_object_unref(layout);
    return FALSE;
}

void ui_placeholder(GtkWidget *entry, const char *text) {
    gboolean known = g_object_get_data(G_OBJECT(entry), "placeholder") != NULL;
    g_object_set_data_full(G_OBJECT(entry), "placeholder", g_strdup(text), g_free);
    if (!known) g_signal_connect_after(entry, "expose-event", G_CALLBACK(paint_placeholder), NULL);
    gtk_widget_queue_draw(entry);
}

void ui_scroll_fit(GtkWidget *scrolled, GtkWidget *child, int rest) {
    GtkRequisition liked;
    gtk_widget_size_request(child, &liked);
    gtk_widget_set_size_request(scrolled, -1, MIN(liked.height, gdk_screen_get_height(gtk_widget_get_screen(scrolled)) - rest));
}

typedef struct Painter {
    UiPaint paint;
    gpointer data;
} Painter;

static gboolean expose(GtkWidget *area, GdkEventExpose *event, gpointer data) {
    Painter *painter = data;
    GtkAllocation place;
    cairo_t *cairo = gdk_cairo_create(gtk_widget_get_window(area));
    gdk_cairo_region(cairo, event->region);
    cairo_clip(cairo);
    gtk_widget_get_allocation(area, &place);
    painter->paint(cairo, place.width, place.height, painter->data);
    cairo_destroy(cairo);
    return TRUE;
}

static void painter_free(gpointer data, GClosure *closure) {
    (void)closure;
    g_free(data);
}

void ui_on_paint(GtkWidget *area, UiPaint paint, gpointer data) {
    Painter *painter = g_new(Painter, 1);
    *painter = (Painter){paint, data};
    g_signal_connect_data(area, "expose-event", G_CALLBACK(expose), painter, painter_free, 0);
}
