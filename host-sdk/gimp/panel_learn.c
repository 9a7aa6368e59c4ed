/* Learn Subject from Selection. */
#include <string.h>

#include "dialog.h"
#include "host.h"
#include "library.h"
#include "toolkit.h"
#include "words.h"

typedef struct Learn {
    GtkWidget *name, *consent, *person, *agrees, *expires, *edge, *recipe, *model, *takes, *caption, *word;
    char *asked;    /* the recipe and model that `takes` is about */
    char *worded;   /* what the subject was when a caption was proposed last … */
    char *proposed; /* … and that caption */
} Learn;

/* The contract's names for recipes, in the order of the list; the first is the embedded engine's. */
static const char *const RECIPES[] = {"patch",           "repose", "custom-diffusion", "single-insert", "textual-inversion",
                                      "dreambooth-lora", "detex",  "lipe",             "dream-tuner",   "reference"};

static void fill(Dialog *dialog, GtkWidget *side) {
    Learn *learn = g_new0(Learn, 1);
    const Settings *last = dialog->settings;
    const char *const edges[] = {_("Automatic"), _("Refine"), _("As selected"), NULL};
    const char *const recipes[] = {_("Patch (embedded)"), "Repose", "Custom Diffusion", "SingleInsert", "Textual Inversion",
                                   "DreamBooth LoRA",     "DETEX",  "LIPE",             "DreamTuner",   "Reference",
                                   NULL};
    dialog->own = learn;
    GtkWidget *grid = control_section(side, _("Subject"));
    learn->name = control_entry(dialog, grid, 0, _("Name"), "");
    dialog->first = learn->name;
    learn->edge = control_choice(dialog, grid, 1, _("Edge"), edges, last->edge);
    learn->recipe = control_choice(dialog, grid, 2, _("Recipe"), recipes, 0);
    gtk_widget_set_tooltip_text(learn->recipe, _("All but the first also teach the subject to a text model, which takes minutes or hours; "
                                                 "Reference trains nothing, each pose looks at this picture instead; "
                                                 "LIPE wants to know what the subject does in the picture"));
    learn->model = control_entry(dialog, grid, 3, _("Model"), "");
    ui_placeholder(learn->model, _("the only one there is"));
    gtk_widget_set_tooltip_text(learn->model, _("The text model that learns; poses in words need the same one"));
    gtk_widget_set_sensitive(learn->model, FALSE);
    learn->takes = control_hint(grid, 4, "");
    grid = control_section(side, _("Who allows it, and for what"));
    learn->consent = control_wide_entry(dialog, grid, 0, last->consent);
    learn->person = control_check(dialog, grid, 1, _("A real person's likeness"), FALSE);
    learn->agrees = control_check(dialog, grid, 2, _("The person has said yes"), FALSE);
    learn->expires = control_entry(dialog, grid, 3, _("Valid until (YYYY-MM-DD)"), last->expires);
    gtk_widget_set_sensitive(learn->agrees, FALSE);
    grid = control_section(side, _("For poses in words"));
    learn->word = control_entry(dialog, grid, 0, _("The subject is"), "");
    ui_placeholder(learn->word, _("such as: teddy bear"));
    learn->caption = control_entry(dialog, grid, 1, _("The picture shows"), "");
    ui_placeholder(learn->caption, _("such as: a teddy bear sitting on a rock"));
    gtk_widget_set_tooltip_text(learn->caption, _("For poses in words; English is understood best. Say also what the subject does: what is not "
                                                  "said is learned as a part of the subject"));
    gtk_widget_set_tooltip_text(learn->word, _("For poses in words; English is understood best"));
}

static int recipe_of(const Learn *learn) { return MAX(gtk_combo_box_get_active(GTK_COMBO_BOX(learn->recipe)), 0); }

static void collect(Dialog *dialog) {
    const Learn *learn = dialog->own;
    Settings *settings = dialog->settings;
    settings_text(&settings->subject, gtk_entry_get_text(GTK_ENTRY(learn->name)));
    settings_text(&settings->consent, gtk_entry_get_text(GTK_ENTRY(learn->consent)));
    settings_text(&settings->expires, gtk_entry_get_text(GTK_ENTRY(learn->expires)));
    settings_text(&settings->caption, gtk_entry_get_text(GTK_ENTRY(learn->caption)));
    settings_text(&settings->word, gtk_entry_get_text(GTK_ENTRY(learn->word)));
    settings_text(&settings->recipe, RECIPES[recipe_of(learn)]);
    settings_text(&settings->model, gtk_entry_get_text(GTK_ENTRY(learn->model)));
    settings->person = gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(learn->person));
    settings->person_agrees = settings->person && gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(learn->agrees));
    settings->edge = MAX(gtk_combo_box_get_active(GTK_COMBO_BOX(learn->edge)), 0);
}

/* The answer to a command with one more field, which may be blank, or NULL: whatever is wrong is said when the user learns. */
static JsonNode *ask(const char *name, const char *field, const char *value) {
    JsonObject *question = json_object_new();
    json_object_set_string_member(question, "command", name);
    if (*value) json_object_set_string_member(question, field, value);
    JsonNode *node = json_node_init_object(json_node_alloc(), question);
    char *command = json_to_string(node, FALSE);
    ReposeEngine *engine = engine_get(host_executable(), NULL);
    JsonNode *answer = engine ? library_ask(engine, command, NULL) : NULL;
    json_object_unref(question);
    json_node_free(node);
    g_free(command);
    return answer;
}

/* How long a recipe takes here, as far as that is known; an empty text if it cannot be asked. */
static char *takes(const char *recipe, const char *model) {
    JsonNode *answer = ask("recipes", "model", model);
    JsonArray *list = answer ? library_list(json_node_get_object(answer), "recipes") : NULL;
    char *said = g_strdup(answer ? _("How long it takes here is known once the model has begun to learn something.") : "");
    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        JsonObject *one = library_item(list, i);
        gint64 seconds = library_number(one, "seconds");
        if (strcmp(library_text(one, "name"), recipe)) continue;
        if (!library_number(one, "steps")) {
            g_free(said);
            said = g_strdup(_("Nothing is trained: learning takes a moment, and each pose looks at this picture."));
        }
        if (!seconds) continue;
        char *minutes = g_strdup_printf("%" G_GINT64_FORMAT, MAX(1, (seconds + 30) / 60));
        g_free(said);
        gint64 memory = library_number(one, "memory");
        said = ui_sentence(memory ? _("It takes about {minutes} min and {gigabytes} GB of memory here.")
                                  : _("It takes about {minutes} min here."),
                           "{minutes}", minutes);
        if (memory) {
            char *gigabytes = g_strdup_printf("%.1f", (double)memory / 1e9), *whole = ui_sentence(said, "{gigabytes}", gigabytes);
            g_free(gigabytes);
            g_free(said);
            said = whole;
        }
        g_free(minutes);
    }
    if (answer) json_node_unref(answer);
    if (strcmp(recipe, "lipe") == 0) {
        char *both = g_strdup_printf("%s %s", said, _("Say what the subject does where it says what the picture shows."));
        g_free(said);
        said = both;
    }
    return said;
}

static void show_takes(Learn *learn) {
    const char *recipe = RECIPES[recipe_of(learn)], *model = gtk_entry_get_text(GTK_ENTRY(learn->model));
    char *asked = g_strconcat(recipe, "\n", model, NULL);
    if (g_strcmp0(asked, learn->asked)) {
        char *said = recipe_of(learn) ? takes(recipe, model) : g_strdup("");
        char *markup = g_markup_printf_escaped("<small>%s</small>", said);
        gtk_label_set_markup(GTK_LABEL(learn->takes), markup);
        g_free(markup);
        g_free(said);
    }
    g_free(learn->asked);
    learn->asked = asked;
}

static gboolean blank(const char *text) {
    return strspn(text, " \t") == strlen(text);
}

/* Says what the picture shows from what the subject is, until the user says more. */
static void propose(Learn *learn) {
    const char *word = gtk_entry_get_text(GTK_ENTRY(learn->word)), *now = gtk_entry_get_text(GTK_ENTRY(learn->caption));
    if (g_strcmp0(word, learn->worded ? learn->worded : "") == 0) return;
    g_free(learn->worded);
    learn->worded = g_strdup(word);
    if (!blank(now) && g_strcmp0(now, learn->proposed)) return;
    JsonNode *answer = blank(word) ? NULL : ask("caption", "word", word);
    g_free(learn->proposed);
    learn->proposed = g_strdup(answer ? library_text(json_node_get_object(answer), "caption") : "");
    if (answer) json_node_unref(answer);
    gtk_entry_set_text(GTK_ENTRY(learn->caption), learn->proposed);
}

static char *problem(Dialog *dialog) {
    Learn *learn = dialog->own;
    show_takes(learn);
    propose(learn);
    gtk_widget_set_sensitive(learn->agrees, gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(learn->person)));
    gtk_widget_set_sensitive(learn->model, recipe_of(learn) > 0);
    if (!dialog->picture->selected) return g_strdup(_("Nothing is selected: select the subject first."));
    if (blank(gtk_entry_get_text(GTK_ENTRY(learn->name)))) return g_strdup(_("Give the subject a name."));
    if (blank(gtk_entry_get_text(GTK_ENTRY(learn->consent)))) return g_strdup(_("Say who allows it, and for what."));
    return NULL;
}

static void close_panel(Dialog *dialog) {
    Learn *learn = dialog->own;
    g_free(learn->asked);
    g_free(learn->worded);
    g_free(learn->proposed);
    g_free(learn);
}

const Panel PANEL_LEARN = {N_("Learn"), FALSE, fill, collect, problem, NULL, close_panel};
