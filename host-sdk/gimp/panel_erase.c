/* Erase Subject. */
#include "dialog.h"
#include "words.h"

typedef struct Erase {
    GtkWidget *candidates, *seed, *grow;
} Erase;

static void fill(Dialog *dialog, GtkWidget *side) {
    Erase *erase = g_new0(Erase, 1);
    const Settings *last = dialog->settings;
    dialog->own = erase;
    GtkWidget *grid = control_section(side, _("Background"));
    control_hint(grid, 0, _("What is selected is removed, and the background restored."));
    erase->grow = control_number(dialog, grid, 0, 1, _("Grow selection by"), last->grow, 0, 256, 1, 0);
    erase->candidates = control_number(dialog, grid, 0, 2, _("Candidates"), last->candidates, 1, 16, 1, 0);
    erase->seed = control_number(dialog, grid, 0, 3, _("Seed"), last->seed, 0, G_MAXINT, 1, 0);
}

static void collect(Dialog *dialog) {
    const Erase *erase = dialog->own;
    dialog->settings->grow = gtk_spin_button_get_value_as_int(GTK_SPIN_BUTTON(erase->grow));
    dialog->settings->candidates = gtk_spin_button_get_value_as_int(GTK_SPIN_BUTTON(erase->candidates));
    dialog->settings->seed = gtk_spin_button_get_value_as_int(GTK_SPIN_BUTTON(erase->seed));
}

static char *problem(Dialog *dialog) {
    return dialog->picture->selected ? NULL : g_strdup(_("Nothing is selected: select the subject first."));
}

static void close_panel(Dialog *dialog) { g_free(dialog->own); }

const Panel PANEL_ERASE = {N_("Erase"), FALSE, fill, collect, problem, NULL, close_panel};
