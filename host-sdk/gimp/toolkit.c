/* toolkit.h: what is written the same for both. */
#include "toolkit.h"

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

void ui_transient(GtkWidget *window) { gimp_window_set_transient(GTK_WINDOW(window)); }

GtkWidget *ui_dialog(const char *title, const char *role) {
    return gimp_dialog_new(title, role, NULL, 0, NULL, NULL, NULL);
}

GtkWidget *ui_section(const char *title) { return gimp_frame_new(title); }

void ui_shorten(GtkWidget *choice) {
    GList *cells = gtk_cell_layout_get_cells(GTK_CELL_LAYOUT(choice));
    for (GList *cell = cells; cell; cell = cell->next)
        g_object_set(cell->data, "ellipsize", PANGO_ELLIPSIZE_END, "width-chars", 20, NULL);
    g_list_free(cells);
}

char *ui_sentence(const char *sentence, const char *mark, const char *value) {
    char **parts = g_strsplit(sentence, mark, -1), *whole = g_strjoinv(value, parts);
    g_strfreev(parts);
    return whole;
}
