#include "text_part.h"

#include <string.h>

#include "host.h"
#include "library.h"
#include "toolkit.h"
#include "words.h"

#define OPEN_NOTE "repose-text-open"
#define LIST "{\"command\": \"models\"}"

/* The contract's names, which users know samplers by; before them, in the list, "auto". */
static const char *const SAMPLERS[] = {"ddim", "dpm++2m", "dpm++2m-karras", "euler-a", "unipc", "lcm"};

/* A command at work beside the dialog: there may be many models, on slow disks. */
typedef struct Ask {
    ReposeEngine *engine;
    char *command;
    JsonNode *answer;
    GError *error;
    GThread *thread;
    TextPart *part;
} Ask;

struct TextPart {
    Dialog *dialog;
    GtkWidget *prompt, *fold, *model, *none, *source, *negative, *strength, *guidance, *steps, *sampler;
    char *wanted;     /* the model that was chosen last */
    char *word;       /* of the subject */
    GPtrArray *names; /* of the models in the list, as settings have them */
    char *problem;    /* why there is no model; NULL while that is not known */
    Ask *ask;
    char *next; /* what is asked after it, or NULL */
};

static char *note_name(const TextPart *part, const char *what) {
    return g_strdup_printf("repose-%s-%d", what, (int)part->dialog->picture->layer);
}

static void recall(const TextPart *part, GtkWidget *entry, const char *what) {
    char *name = note_name(part, what), *text = host_note(name);
    gtk_entry_set_text(GTK_ENTRY(entry), text ? text : "");
    g_free(text);
    g_free(name);
}

static const char *entered(GtkWidget *entry) { return gtk_entry_get_text(GTK_ENTRY(entry)); }

/* What the prompt shall be like, as far as models and subject are known. */
static void show_expected(TextPart *part) {
    if (part->problem) {
        ui_placeholder(part->prompt, _("Needs a text model; none was found."));
    } else if (part->word && *part->word) {
        char *text = ui_sentence(_("in English, with “{word}” in it"), "{word}", part->word);
        ui_placeholder(part->prompt, text);
        g_free(text);
    } else {
        ui_placeholder(part->prompt, _("such as: a teddy bear waving"));
    }
}

/* ---- Models ------------------------------------------------------------------------------------------------- */

static void ask(TextPart *part, char *command);

static void ask_free(Ask *it) {
    if (it->thread) g_thread_join(it->thread);
    g_clear_pointer(&it->answer, json_node_unref);
    g_clear_error(&it->error);
    g_free(it->command);
    g_free(it);
}

static char *label_of(JsonObject *model) {
    const char *family = library_text(model, "family");
    const char *known = strcmp(family, "sd1") == 0    ? "Stable Diffusion 1.x"
                        : strcmp(family, "sd2") == 0  ? "Stable Diffusion 2.x"
                        : strcmp(family, "sdxl") == 0 ? "Stable Diffusion XL"
                                                      : "";
    const char *also = library_flag(model, "inpainting") ? _("inpainting") : "";
    const char *name = library_text(model, "name");
    if (!*known && !*also) return g_strdup(name);
    return g_strdup_printf("%s (%s%s%s)", name, known, *known && *also ? ", " : "", also);
}

static void list_models(TextPart *part, JsonObject *answer) {
    JsonArray *models = library_list(answer, "models");
    guint count = models ? json_array_get_length(models) : 0;
    int chosen = 0;
    char *broken = NULL;
    gtk_list_store_clear(GTK_LIST_STORE(gtk_combo_box_get_model(GTK_COMBO_BOX(part->model))));
    g_ptr_array_set_size(part->names, 0);
    for (guint i = 0; i < count; i++) {
        JsonObject *model = library_item(models, i);
        const char *name = library_text(model, "name"), *problem = library_text(model, "problem");
        if (*problem) {
            if (!broken) broken = g_strdup_printf("%s: %s", name, problem);
            continue;
        }
        char *label = label_of(model);
        gtk_combo_box_text_append_text(GTK_COMBO_BOX_TEXT(part->model), label);
        g_free(label);
        if (g_strcmp0(name, part->wanted) == 0) chosen = (int)part->names->len;
        /* The only one there is need not be named; among several, also broken ones, it must be. */
        g_ptr_array_add(part->names, g_strdup(count > 1 ? name : ""));
    }
    g_clear_pointer(&part->problem, g_free);
    if (part->names->len) {
        gtk_combo_box_set_active(GTK_COMBO_BOX(part->model), chosen);
    } else if (broken) {
        part->problem = g_strdup(broken);
    } else {
        part->problem = ui_sentence(_("No text model was found: put a Stable Diffusion checkpoint (.safetensors) into {folder}, or "
                                      "name a folder of models with “…”."),
                                    "{folder}", library_text(library_object(answer, "folders"), "own"));
    }
    g_free(broken);
}

static void show_models(TextPart *part, const char *sentence) {
    char *markup = g_markup_printf_escaped("<small>%s</small>", sentence ? sentence : "");
    gtk_label_set_markup(GTK_LABEL(part->none), markup);
    gtk_widget_set_visible(part->none, sentence != NULL);
    gtk_widget_set_sensitive(part->model, part->names->len > 0);
    show_expected(part);
    g_free(markup);
    dialog_changed(part->dialog);
}

static gboolean heard(gpointer data) {
    Ask *it = data;
    TextPart *part = it->part;
    gboolean listed = it->answer && library_list(json_node_get_object(it->answer), "models");
    part->ask = NULL;
    if (listed) {
        list_models(part, json_node_get_object(it->answer));
        show_models(part, part->problem);
    } else if (it->error) {
        show_models(part, it->error->message);
    }
    if (!listed && !it->error && !part->next) part->next = g_strdup(LIST); /* a folder was added */
    ask_free(it);
    if (part->next) ask(part, g_steal_pointer(&part->next));
    return FALSE;
}

static gpointer work(gpointer data) {
    Ask *it = data;
    it->answer = library_ask(it->engine, it->command, &it->error);
    g_idle_add(heard, it);
    return NULL;
}

/* Takes the command. */
static void ask(TextPart *part, char *command) {
    ReposeEngine *engine = engine_get(host_executable(), NULL);
    if (part->ask || !engine) {
        g_free(part->next);
        part->next = command;
        return;
    }
    part->ask = g_new0(Ask, 1);
    part->ask->engine = engine;
    part->ask->command = command;
    part->ask->part = part;
    part->ask->thread = g_thread_new("models", work, part->ask);
}

static void folder_chosen(GtkWidget *chooser, int response, TextPart *part) {
    char *path = response == GTK_RESPONSE_ACCEPT ? gtk_file_chooser_get_filename(GTK_FILE_CHOOSER(chooser)) : NULL;
    if (path) {
        JsonObject *object = json_object_new();
        JsonNode *node = json_node_new(JSON_NODE_OBJECT);
        json_object_set_string_member(object, "command", "model-folder-add");
        json_object_set_string_member(object, "path", path);
        json_node_take_object(node, object);
        ask(part, json_to_string(node, FALSE));
        json_node_unref(node);
        g_free(path);
    }
    gtk_widget_destroy(chooser);
}

static void folder_clicked(GtkWidget *button, TextPart *part) {
    GtkWidget *chooser =
        gtk_file_chooser_dialog_new(_("Folder of text models"), GTK_WINDOW(gtk_widget_get_toplevel(button)),
                                    GTK_FILE_CHOOSER_ACTION_SELECT_FOLDER, _("Close"), GTK_RESPONSE_CANCEL, _("Use This Folder"),
                                    GTK_RESPONSE_ACCEPT, NULL);
    gtk_window_set_modal(GTK_WINDOW(chooser), TRUE);
    gtk_window_set_destroy_with_parent(GTK_WINDOW(chooser), TRUE);
    g_signal_connect(chooser, "response", G_CALLBACK(folder_chosen), part);
    gtk_widget_show(chooser);
}

/* ---- The controls ------------------------------------------------------------------------------------------- */

static void folded(GtkExpander *fold, GParamSpec *property, Dialog *dialog) {
    (void)fold;
    (void)property;
    dialog_changed(dialog);
}

static void fill_fold(TextPart *part, GtkWidget *grid) {
    Dialog *dialog = part->dialog;
    const Settings *last = dialog->settings;
    const char *samplers[G_N_ELEMENTS(SAMPLERS) + 2] = {_("auto")};
    const char *const none[] = {NULL};
    int sampler = 0;
    for (guint i = 0; i < G_N_ELEMENTS(SAMPLERS); i++) {
        samplers[i + 1] = SAMPLERS[i];
        if (strcmp(SAMPLERS[i], last->sampler) == 0) sampler = (int)i + 1;
    }
    GtkWidget *row = ui_row(6);
    part->model = control_choice(dialog, grid, 0, _("Model"), none, -1);
    ui_shorten(part->model);
    g_object_ref(part->model);
    gtk_container_remove(GTK_CONTAINER(grid), part->model);
    gtk_box_pack_start(GTK_BOX(row), part->model, TRUE, TRUE, 0);
    g_object_unref(part->model);
    GtkWidget *folder = gtk_button_new_with_label("…");
    gtk_widget_set_tooltip_text(folder, _("Name a folder in which text models lie, such as ComfyUI's"));
    g_signal_connect(folder, "clicked", G_CALLBACK(folder_clicked), part);
    gtk_box_pack_start(GTK_BOX(row), folder, FALSE, FALSE, 0);
    ui_grid_put(grid, row, 1, 0, 3, TRUE);
    part->none = control_hint(grid, 1, _("Looking for text models…"));
    gtk_label_set_line_wrap_mode(GTK_LABEL(part->none), PANGO_WRAP_WORD_CHAR);
    part->source = control_entry(dialog, grid, 2, _("The picture now"), "");
    gtk_widget_set_tooltip_text(part->source, _("What the picture shows now, in the words of the prompt but for the pose"));
    recall(part, part->source, "source");
    part->negative = control_entry(dialog, grid, 3, _("Without"), last->negative);
    gtk_widget_set_tooltip_text(part->negative, _("What must not be seen"));
    part->strength = control_number_or_auto(dialog, grid, 0, 4, _("Strength"), last->strength, 1, 0.05, 2);
    gtk_widget_set_tooltip_text(part->strength, _("How far the picture may change"));
    part->guidance = control_number_or_auto(dialog, grid, 2, 4, _("Guidance"), last->guidance, 50, 0.5, 1);
    gtk_widget_set_tooltip_text(part->guidance, _("How closely the prompt is followed"));
    part->steps = control_number_or_auto(dialog, grid, 0, 5, _("Steps"), last->steps, 1000, 1, 0);
    gtk_widget_set_tooltip_text(part->steps, _("More steps take longer and are more exact"));
    part->sampler = control_choice_at(dialog, grid, 2, 5, _("Sampler"), samplers, sampler);
}

TextPart *text_part_new(Dialog *dialog, GtkWidget *side) {
    TextPart *part = g_new0(TextPart, 1);
    part->dialog = dialog;
    part->wanted = g_strdup(dialog->settings->model);
    part->names = g_ptr_array_new_with_free_func(g_free);
    GtkWidget *grid = control_section(side, _("Pose in words")), *inside = ui_grid();
    part->prompt = control_entry(dialog, grid, 0, _("Prompt"), "");
    gtk_widget_set_tooltip_text(part->prompt, _("With a prompt, a text model draws the pose; pins, if there are any, say roughly "
                                                "where. Without one, pins bend the subject as it is."));
    recall(part, part->prompt, "prompt");
    part->fold = gtk_expander_new(_("Text model"));
    gtk_container_add(GTK_CONTAINER(part->fold), inside);
    ui_grid_put(grid, part->fold, 0, 1, 4, TRUE);
    fill_fold(part, inside);
    char *open = host_note(OPEN_NOTE);
    gtk_expander_set_expanded(GTK_EXPANDER(part->fold), g_strcmp0(open, "1") == 0);
    g_free(open);
    g_signal_connect(part->fold, "notify::expanded", G_CALLBACK(folded), dialog);
    gtk_widget_set_sensitive(part->model, FALSE);
    gtk_widget_set_no_show_all(part->none, TRUE);
    gtk_widget_show(part->none);
    ask(part, g_strdup(LIST));
    return part;
}

void text_part_free(TextPart *part) {
    if (part->ask) {
        Ask *it = part->ask;
        g_thread_join(it->thread); /* then its idle call is queued */
        it->thread = NULL;
        g_idle_remove_by_data(it);
        ask_free(it);
    }
    g_free(part->next);
    g_ptr_array_free(part->names, TRUE);
    g_free(part->wanted);
    g_free(part->word);
    g_free(part->problem);
    g_free(part);
}

void text_part_subject(TextPart *part, const char *word, const char *caption) {
    g_free(part->word);
    part->word = g_strdup(word);
    ui_placeholder(part->source, caption && *caption ? caption : _("such as: a teddy bear on a rock"));
    show_expected(part);
}

static gboolean blank(const char *text) { return strspn(text, " \t") == strlen(text); }

char *text_part_problem(const TextPart *part) {
    return blank(entered(part->prompt)) ? NULL : g_strdup(part->problem);
}

void text_part_collect(const TextPart *part, Settings *settings) {
    int model = gtk_combo_box_get_active(GTK_COMBO_BOX(part->model)), sampler = gtk_combo_box_get_active(GTK_COMBO_BOX(part->sampler));
    double guidance = gtk_spin_button_get_value(GTK_SPIN_BUTTON(part->guidance));
    settings_text(&settings->prompt, blank(entered(part->prompt)) ? "" : entered(part->prompt));
    settings_text(&settings->source, entered(part->source));
    settings_text(&settings->negative, entered(part->negative));
    settings_text(&settings->sampler, sampler > 0 ? SAMPLERS[sampler - 1] : "");
    settings->strength = gtk_spin_button_get_value(GTK_SPIN_BUTTON(part->strength));
    settings->guidance = guidance < 1 ? 0 : guidance; /* there is none between none and 1 */
    settings->steps = gtk_spin_button_get_value_as_int(GTK_SPIN_BUTTON(part->steps));
    if (model >= 0 && model < (int)part->names->len) settings_text(&settings->model, g_ptr_array_index(part->names, (guint)model));
}

void text_part_keep(const TextPart *part) {
    const struct {
        const char *what;
        GtkWidget *entry;
    } texts[] = {{"prompt", part->prompt}, {"source", part->source}};
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        char *name = note_name(part, texts[i].what);
        host_note_set(name, entered(texts[i].entry));
        g_free(name);
    }
    host_note_set(OPEN_NOTE, gtk_expander_get_expanded(GTK_EXPANDER(part->fold)) ? "1" : "0");
}
