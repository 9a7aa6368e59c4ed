#include <string.h>

#include "dialog.h"
#include "toolkit.h"
#include "words.h"

static void label_at(GtkWidget *grid, GtkWidget *control, int column, int row, const char *text) {
    GtkWidget *label = gtk_label_new(text);
    ui_label_left(label);
    gtk_label_set_mnemonic_widget(GTK_LABEL(label), control);
    ui_grid_put(grid, label, column, row, 1, FALSE);
}

static GtkWidget *entry_new(Dialog *dialog, const char *text) {
    GtkWidget *entry = gtk_entry_new();
    gtk_entry_set_text(GTK_ENTRY(entry), text);
    gtk_entry_set_activates_default(GTK_ENTRY(entry), TRUE);
    g_signal_connect(entry, "changed", G_CALLBACK(dialog_control_changed), dialog);
    return entry;
}

GtkWidget *control_entry(Dialog *dialog, GtkWidget *grid, int row, const char *label, const char *text) {
    GtkWidget *entry = entry_new(dialog, text);
    label_at(grid, entry, 0, row, label);
    ui_grid_put(grid, entry, 1, row, 3, TRUE);
    return entry;
}

GtkWidget *control_wide_entry(Dialog *dialog, GtkWidget *grid, int row, const char *text) {
    GtkWidget *entry = entry_new(dialog, text);
    ui_grid_put(grid, entry, 0, row, 4, TRUE);
    return entry;
}

static GtkWidget *choice_new(Dialog *dialog, const char *const *names, int chosen) {
    GtkWidget *choice = gtk_combo_box_text_new();
    for (int i = 0; names[i]; i++) gtk_combo_box_text_append_text(GTK_COMBO_BOX_TEXT(choice), names[i]);
    gtk_combo_box_set_active(GTK_COMBO_BOX(choice), chosen);
    g_signal_connect(choice, "changed", G_CALLBACK(dialog_control_changed), dialog);
    return choice;
}

GtkWidget *control_choice(Dialog *dialog, GtkWidget *grid, int row, const char *label, const char *const *names, int chosen) {
    GtkWidget *choice = choice_new(dialog, names, chosen);
    label_at(grid, choice, 0, row, label);
    ui_grid_put(grid, choice, 1, row, 3, TRUE);
    return choice;
}

GtkWidget *control_choice_at(Dialog *dialog, GtkWidget *grid, int column, int row, const char *label, const char *const *names,
                             int chosen) {
    GtkWidget *choice = choice_new(dialog, names, chosen);
    label_at(grid, choice, column, row, label);
    ui_grid_put(grid, choice, column + 1, row, 1, TRUE);
    return choice;
}

GtkWidget *control_number(Dialog *dialog, GtkWidget *grid, int column, int row, const char *label, double value,
                          double least, double most, double step, int digits) {
    GtkWidget *number = gtk_spin_button_new_with_range(least, most, step);
    gtk_spin_button_set_digits(GTK_SPIN_BUTTON(number), (guint)digits);
    gtk_spin_button_set_value(GTK_SPIN_BUTTON(number), value);
    gtk_entry_set_width_chars(GTK_ENTRY(number), 5);
    gtk_entry_set_activates_default(GTK_ENTRY(number), TRUE);
    label_at(grid, number, column, row, label);
    ui_grid_put(grid, number, column + 1, row, 1, TRUE);
    g_signal_connect(number, "value-changed", G_CALLBACK(dialog_control_changed), dialog);
    return number;
}

static gboolean show_auto(GtkSpinButton *number, gpointer data) {
    (void)data;
    if (gtk_spin_button_get_value(number) > 0) return FALSE;
    if (strcmp(gtk_entry_get_text(GTK_ENTRY(number)), _("auto")) != 0) gtk_entry_set_text(GTK_ENTRY(number), _("auto"));
    return TRUE;
}

/* The first number in the text, also where it was typed behind "auto". */
static int read_auto(GtkSpinButton *number, double *value, gpointer data) {
    const char *text = gtk_entry_get_text(GTK_ENTRY(number));
    (void)data;
    *value = g_strtod(text + strcspn(text, "0123456789.,"), NULL);
    return TRUE;
}

GtkWidget *control_number_or_auto(Dialog *dialog, GtkWidget *grid, int column, int row, const char *label, double value,
                                  double most, double step, int digits) {
    GtkWidget *number = control_number(dialog, grid, column, row, label, value, 0, most, step, digits);
    g_signal_connect(number, "output", G_CALLBACK(show_auto), NULL);
    g_signal_connect(number, "input", G_CALLBACK(read_auto), NULL);
    gtk_spin_button_set_numeric(GTK_SPIN_BUTTON(number), FALSE);
    show_auto(GTK_SPIN_BUTTON(number), NULL);
    return number;
}

GtkWidget *control_check(Dialog *dialog, GtkWidget *grid, int row, const char *label, gboolean on) {
    GtkWidget *check = gtk_check_button_new_with_label(label);
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(check), on);
    ui_grid_put(grid, check, 0, row, 4, FALSE);
    g_signal_connect(check, "toggled", G_CALLBACK(dialog_control_changed), dialog);
    return check;
}

GtkWidget *control_hint(GtkWidget *grid, int row, const char *text) {
    GtkWidget *hint = gtk_label_new(NULL);
    char *markup = g_markup_printf_escaped("<small>%s</small>", text);
    gtk_label_set_markup(GTK_LABEL(hint), markup);
    g_free(markup);
    gtk_label_set_line_wrap(GTK_LABEL(hint), TRUE);
    ui_label_width(hint, 44);
    ui_label_left(hint);
    ui_grid_put(grid, hint, 0, row, 4, FALSE);
    return hint;
}

GtkWidget *control_section(GtkWidget *side, const char *title) {
    GtkWidget *section = ui_section(title), *grid = ui_grid();
    gtk_container_add(GTK_CONTAINER(section), grid);
    gtk_box_pack_start(GTK_BOX(side), section, FALSE, FALSE, 0);
    return grid;
}
