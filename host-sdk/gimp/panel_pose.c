/* Re-pose Subject. */
#include <math.h>
#include <string.h>

#include "dialog.h"
#include "host.h"
#include "pins.h"
#include "subjects.h"
#include "text_part.h"
#include "toolkit.h"
#include "words.h"

/* The pins of a layer are kept while GIMP runs, so that a pose can be corrected. Free with g_free(). */
static char *pins_note(const Dialog *dialog) { return g_strdup_printf("repose-pins-%d", (int)dialog->picture->layer); }

typedef struct Pose {
    Subjects *subjects;
    TextPart *text;
    GtkWidget *turns, *turn, *depth, *remove, *clear;
    GtkWidget *move_x, *move_y, *scale, *rotate;
    GtkWidget *guide, *candidates, *seed, *grow;
    gint32 *layers; /* the guide list's, after None */
    guint layer_count;
    gboolean showing; /* controls are being set to a pin's values */
} Pose;

/* The chosen pin, or NULL. */
static ReposePin *chosen_pin(Dialog *dialog) {
    int index = preview_chosen(dialog->preview);
    GArray *pins = preview_pins(dialog->preview);
    return index >= 0 && index < (int)pins->len ? &g_array_index(pins, ReposePin, (guint)index) : NULL;
}

/* Shows the chosen pin's values. */
static void pins_changed(Dialog *dialog) {
    Pose *pose = dialog->own;
    const ReposePin *pin = chosen_pin(dialog);
    if (!pose) return;
    pose->showing = TRUE;
    gtk_toggle_button_set_active(GTK_TOGGLE_BUTTON(pose->turns), pin && !isnan(pin->angle));
    gtk_spin_button_set_value(GTK_SPIN_BUTTON(pose->turn), pin && !isnan(pin->angle) ? pin->angle : 0);
    gtk_spin_button_set_value(GTK_SPIN_BUTTON(pose->depth), pin ? pin->depth : 0);
    gtk_widget_set_sensitive(pose->turns, pin != NULL);
    gtk_widget_set_sensitive(pose->turn, pin && !isnan(pin->angle));
    gtk_widget_set_sensitive(pose->depth, pin != NULL);
    gtk_widget_set_sensitive(pose->remove, pin != NULL);
    gtk_widget_set_sensitive(pose->clear, preview_pins(dialog->preview)->len > 0);
    pose->showing = FALSE;
    dialog_changed(dialog);
}

static void pin_edited(GtkWidget *control, Dialog *dialog) {
    Pose *pose = dialog->own;
    ReposePin *pin = chosen_pin(dialog);
    (void)control;
    if (pose->showing || !pin) return;
    gboolean turns = gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(pose->turns));
    pin->angle = turns ? (float)gtk_spin_button_get_value(GTK_SPIN_BUTTON(pose->turn)) : NAN;
    pin->depth = (float)gtk_spin_button_get_value(GTK_SPIN_BUTTON(pose->depth));
    preview_pins_changed(dialog->preview);
}

static void remove_clicked(GtkWidget *button, Dialog *dialog) {
    (void)button;
    preview_remove_pin(dialog->preview, preview_chosen(dialog->preview));
}

static void clear_clicked(GtkWidget *button, Dialog *dialog) {
    (void)button;
    g_array_set_size(preview_pins(dialog->preview), 0);
    preview_pins_changed(dialog->preview);
}

/* An anchor becomes a pin; a handle that was pulled out of it says where it goes. */
static void path_clicked(GtkWidget *button, Dialog *dialog) {
    GArray *pins = preview_pins(dialog->preview);
    GArray *points = host_path_points(dialog->picture->image);
    (void)button;
    if (!points || points->len < 6) {
        dialog_say(dialog, _("No path is active: draw one with the Paths tool; its anchors become pins, and a handle says where "
                             "its anchor goes."));
    } else {
        for (guint i = 0; i + 5 < points->len && pins->len < PINS_MOST; i += 6) {
            const double *at = &g_array_index(points, double, i);
            const double *to = at[4] != at[2] || at[5] != at[3] ? at + 4 : at;
            ReposePin pin = {(float)at[2], (float)at[3], (float)to[0], (float)to[1], NAN, 0};
            g_array_append_val(pins, pin);
        }
        preview_pins_changed(dialog->preview);
    }
    if (points) g_array_free(points, TRUE);
}

static GtkWidget *button(Dialog *dialog, GtkWidget *row, const char *text, void (*clicked)(GtkWidget *, Dialog *)) {
    GtkWidget *button = gtk_button_new_with_label(text);
    gtk_box_pack_start(GTK_BOX(row), button, TRUE, TRUE, 0);
    g_signal_connect(button, "clicked", G_CALLBACK(clicked), dialog);
    return button;
}

static void fill_pins(Dialog *dialog, Pose *pose, GtkWidget *side) {
    GtkWidget *grid = control_section(side, _("Pins"));
    control_hint(grid, 0, _("Click to set a pin, drag it to where that point shall go, right-click to remove it. A pin that is not "
                            "dragged holds its place."));
    pose->turns = gtk_check_button_new_with_label(_("Turn"));
    gtk_widget_set_tooltip_text(pose->turns, _("Turns the subject at this pin by that many degrees, clockwise; off: it turns freely"));
    pose->turn = gtk_spin_button_new_with_range(-360, 360, 1);
    gtk_entry_set_width_chars(GTK_ENTRY(pose->turn), 5);
    ui_grid_put(grid, pose->turns, 0, 1, 1, FALSE);
    ui_grid_put(grid, pose->turn, 1, 1, 1, TRUE);
    pose->depth = control_number(dialog, grid, 2, 1, _("Depth"), 0, -100, 100, 1, 0);
    gtk_widget_set_tooltip_text(pose->depth, _("Where parts of the subject overlap, the larger depth is in front"));
    g_signal_connect(pose->turns, "toggled", G_CALLBACK(pin_edited), dialog);
    g_signal_connect(pose->turn, "value-changed", G_CALLBACK(pin_edited), dialog);
    g_signal_connect(pose->depth, "value-changed", G_CALLBACK(pin_edited), dialog);
    GtkWidget *row = ui_row(6);
    pose->remove = button(dialog, row, _("Remove Pin"), remove_clicked);
    pose->clear = button(dialog, row, _("Clear Pins"), clear_clicked);
    button(dialog, row, _("Pins from Path"), path_clicked);
    ui_grid_put(grid, row, 0, 2, 4, TRUE);
    char *note = pins_note(dialog), *text = host_note(note);
    GArray *pins = pins_parse(text, NULL);
    if (pins) {
        g_array_append_vals(preview_pins(dialog->preview), pins->data, pins->len);
        g_array_free(pins, TRUE);
    }
    g_free(text);
    g_free(note);
}

static void fill_placement(Dialog *dialog, Pose *pose, GtkWidget *side) {
    GtkWidget *grid = control_section(side, _("Whole subject"));
    pose->move_x = control_number(dialog, grid, 0, 0, _("Move X"), 0, -30000, 30000, 1, 1);
    pose->move_y = control_number(dialog, grid, 2, 0, _("Move Y"), 0, -30000, 30000, 1, 1);
    pose->scale = control_number(dialog, grid, 0, 1, _("Scale"), 1, 0.05, 20, 0.05, 2);
    pose->rotate = control_number(dialog, grid, 2, 1, _("Rotate"), 0, -360, 360, 1, 1);
}

static void fill_rest(Dialog *dialog, Pose *pose, GtkWidget *side) {
    const Settings *last = dialog->settings;
    GtkWidget *grid = control_section(side, _("Result"));
    pose->layers = host_layers(dialog->picture->image, &pose->layer_count);
    const char **names = g_new0(const char *, pose->layer_count + 2);
    names[0] = _("None");
    for (guint i = 0; i < pose->layer_count; i++) names[i + 1] = host_layer_name(pose->layers[i]);
    pose->guide = control_choice(dialog, grid, 0, _("Guide layer"), names, 0);
    gtk_widget_set_tooltip_text(pose->guide, _("A layer with a rough edit of the subject in its new pose"));
    for (guint i = 0; i < pose->layer_count; i++) g_free((gpointer)(guintptr)names[i + 1]);
    g_free(names);
    pose->candidates = control_number(dialog, grid, 0, 1, _("Candidates"), last->candidates, 1, 16, 1, 0);
    pose->seed = control_number(dialog, grid, 2, 1, _("Seed"), last->seed, 0, G_MAXINT, 1, 0);
    pose->grow = control_number(dialog, grid, 0, 2, _("Grow selection by"), last->grow, 0, 256, 1, 0);
    gtk_widget_set_tooltip_text(pose->grow, _("Pixels: what a tight selection leaves of the subject is cleared"));
}

static void subject_changed(gpointer data) {
    Dialog *dialog = data;
    const Pose *pose = dialog->own;
    char *word = subjects_word(pose->subjects), *caption = subjects_caption(pose->subjects);
    text_part_subject(pose->text, word, caption);
    g_free(word);
    g_free(caption);
    dialog_changed(dialog);
}

static void fill(Dialog *dialog, GtkWidget *side) {
    Pose *pose = g_new0(Pose, 1);
    GtkWidget *section = ui_section(_("Subject"));
    pose->subjects = subjects_new(dialog->settings->subject, subject_changed, dialog);
    gtk_container_add(GTK_CONTAINER(section), subjects_widget(pose->subjects));
    gtk_box_pack_start(GTK_BOX(side), section, TRUE, TRUE, 0);
    fill_pins(dialog, pose, side);
    pose->text = text_part_new(dialog, side);
    fill_placement(dialog, pose, side);
    fill_rest(dialog, pose, side);
    dialog->own = pose;
    pins_changed(dialog);
    subject_changed(dialog);
}

static void collect(Dialog *dialog) {
    const Pose *pose = dialog->own;
    Settings *settings = dialog->settings;
    GArray *pins = preview_pins(dialog->preview);
    int guide = gtk_combo_box_get_active(GTK_COMBO_BOX(pose->guide));
    g_free(settings->subject);
    settings->subject = subjects_chosen(pose->subjects);
    g_free(settings->pins);
    settings->pins = pins_text(&g_array_index(pins, ReposePin, 0), pins->len);
    settings->move_x = gtk_spin_button_get_value(GTK_SPIN_BUTTON(pose->move_x));
    settings->move_y = gtk_spin_button_get_value(GTK_SPIN_BUTTON(pose->move_y));
    settings->scale = gtk_spin_button_get_value(GTK_SPIN_BUTTON(pose->scale));
    settings->rotate = gtk_spin_button_get_value(GTK_SPIN_BUTTON(pose->rotate));
    settings->guide = guide > 0 && guide <= (int)pose->layer_count ? pose->layers[guide - 1] : NONE;
    text_part_collect(pose->text, settings);
    settings->candidates = gtk_spin_button_get_value_as_int(GTK_SPIN_BUTTON(pose->candidates));
    settings->seed = gtk_spin_button_get_value_as_int(GTK_SPIN_BUTTON(pose->seed));
    settings->grow = gtk_spin_button_get_value_as_int(GTK_SPIN_BUTTON(pose->grow));
}

static char *problem(Dialog *dialog) {
    const Pose *pose = dialog->own;
    char *problem = pose ? subjects_problem(pose->subjects) : NULL;
    return pose && !problem ? text_part_problem(pose->text) : problem;
}

static void close_panel(Dialog *dialog) {
    Pose *pose = dialog->own;
    GArray *pins = preview_pins(dialog->preview);
    char *note = pins_note(dialog), *text = pins_text(&g_array_index(pins, ReposePin, 0), pins->len);
    host_note_set(note, text);
    g_free(note);
    g_free(text);
    text_part_keep(pose->text);
    text_part_free(pose->text);
    subjects_free(pose->subjects);
    g_free(pose->layers);
    g_free(pose);
}

const Panel PANEL_POSE = {N_("Re-pose"), TRUE, fill, collect, problem, pins_changed, close_panel};
