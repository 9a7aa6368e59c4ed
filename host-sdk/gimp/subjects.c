#include "subjects.h"

#include <string.h>

#include "host.h"
#include "library.h"
#include "toolkit.h"
#include "words.h"

/* A side of a thumbnail in the list. */
#define THUMBNAIL 48

enum { COLUMN_PICTURE, COLUMN_TEXT, COLUMN_NAME, COLUMN_PROBLEM, COLUMN_CREATED, COLUMN_WORD, COLUMN_CAPTION, COLUMNS };

struct Subjects {
    GtkWidget *widget;
    GtkWidget *view;
    GtkListStore *store;
    SubjectsChanged changed;
    gpointer data;
    char *error; /* why the library could not be read */
};

/* A PNG in base64 as a picture no larger than the list's, or NULL. */
static GdkPixbuf *thumbnail(const char *base64) {
    gsize size = 0;
    guchar *png = g_base64_decode(base64, &size);
    GdkPixbufLoader *loader = gdk_pixbuf_loader_new();
    gboolean whole = size > 0 && gdk_pixbuf_loader_write(loader, png, size, NULL);
    whole = gdk_pixbuf_loader_close(loader, NULL) && whole;
    GdkPixbuf *full = whole ? gdk_pixbuf_loader_get_pixbuf(loader) : NULL, *small = NULL;
    if (full) {
        int width = gdk_pixbuf_get_width(full), height = gdk_pixbuf_get_height(full);
        double scale = MIN(1.0, (double)THUMBNAIL / MAX(width, height));
        small = gdk_pixbuf_scale_simple(full, MAX(1, (int)(width * scale)), MAX(1, (int)(height * scale)), GDK_INTERP_BILINEAR);
    }
    g_object_unref(loader);
    g_free(png);
    return small;
}

/* Why a subject cannot be used, or "". */
static const char *problem_of(JsonObject *subject) {
    const char *problem = library_text(subject, "problem");
    const char *standing = library_text(library_object(subject, "consent"), "standing");
    if (*problem) return problem;
    if (strcmp(standing, "expired") == 0) return _("Its consent has expired.");
    if (strcmp(standing, "revoked") == 0) return _("Its consent was revoked.");
    if (strcmp(standing, "unknown") == 0) return _("Its consent is not known: its record is damaged.");
    return "";
}

static void append(Subjects *subjects, JsonObject *subject) {
    const char *name = library_text(subject, "name"), *problem = problem_of(subject), *word = library_text(subject, "word");
    char *about = *problem ? g_strdup(problem)
                           /* Words: version of a learned subject, and the day on which it was learned */
                           : g_strdup_printf(_("Version %d, %.10s"), (int)library_number(subject, "newest"), library_text(subject, "created"));
    char *text = g_markup_printf_escaped("<b>%s</b>\n<small>%s%s</small>", name, *problem ? "⚠ " : "", about);
    GdkPixbuf *picture = thumbnail(library_text(subject, "thumbnail_png"));
    GtkTreeIter row;
    gtk_list_store_append(subjects->store, &row);
    gtk_list_store_set(subjects->store, &row, COLUMN_PICTURE, picture, COLUMN_TEXT, text, COLUMN_NAME, name, COLUMN_PROBLEM,
                       problem, COLUMN_CREATED, library_text(subject, "created"), COLUMN_WORD, *word ? word : name,
                       COLUMN_CAPTION, library_text(subject, "caption"), -1);
    g_clear_object(&picture);
    g_free(about);
    g_free(text);
}

static void fill(Subjects *subjects) {
    GError *error = NULL;
    ReposeEngine *engine = engine_get(host_executable(), &error);
    JsonNode *answer = engine ? library_ask(engine, "{\"command\": \"list\"}", &error) : NULL;
    JsonArray *list = answer ? library_list(json_node_get_object(answer), "subjects") : NULL;
    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        JsonObject *subject = library_item(list, i);
        if (subject) append(subjects, subject);
    }
    if (error) subjects->error = g_strdup(error->message);
    g_clear_error(&error);
    if (answer) json_node_unref(answer);
}

/* Chooses `name`; else the newest that has no problem. */
static void choose(Subjects *subjects, const char *name) {
    GtkTreeModel *model = GTK_TREE_MODEL(subjects->store);
    GtkTreeIter row, best;
    char *newest = NULL;
    gboolean any = FALSE, named = FALSE;
    for (gboolean more = gtk_tree_model_get_iter_first(model, &row); more && !named; more = gtk_tree_model_iter_next(model, &row)) {
        char *this = NULL, *problem = NULL, *created = NULL;
        gtk_tree_model_get(model, &row, COLUMN_NAME, &this, COLUMN_PROBLEM, &problem, COLUMN_CREATED, &created, -1);
        named = name && *name && strcmp(this, name) == 0;
        if (named || (!*problem && (!newest || strcmp(created, newest) > 0))) {
            best = row;
            any = TRUE;
            g_free(newest);
            newest = g_strdup(created);
        }
        g_free(this);
        g_free(problem);
        g_free(created);
    }
    g_free(newest);
    if (!any) return;
    GtkTreePath *path = gtk_tree_model_get_path(model, &best);
    gtk_tree_view_set_cursor(GTK_TREE_VIEW(subjects->view), path, NULL, FALSE);
    gtk_tree_view_scroll_to_cell(GTK_TREE_VIEW(subjects->view), path, NULL, FALSE, 0, 0);
    gtk_tree_path_free(path);
}

static void selected(GtkTreeSelection *selection, gpointer data) {
    Subjects *subjects = data;
    (void)selection;
    if (subjects->changed) subjects->changed(subjects->data);
}

Subjects *subjects_new(const char *chosen, SubjectsChanged changed, gpointer data) {
    Subjects *subjects = g_new0(Subjects, 1);
    subjects->store = gtk_list_store_new(COLUMNS, GDK_TYPE_PIXBUF, G_TYPE_STRING, G_TYPE_STRING, G_TYPE_STRING, G_TYPE_STRING,
                                         G_TYPE_STRING, G_TYPE_STRING);
    subjects->view = gtk_tree_view_new_with_model(GTK_TREE_MODEL(subjects->store));
    gtk_tree_view_set_headers_visible(GTK_TREE_VIEW(subjects->view), FALSE);
    gtk_tree_view_set_search_column(GTK_TREE_VIEW(subjects->view), COLUMN_NAME);
    GtkCellRenderer *picture = gtk_cell_renderer_pixbuf_new(), *text = gtk_cell_renderer_text_new();
    gtk_cell_renderer_set_fixed_size(picture, THUMBNAIL + 8, THUMBNAIL + 8);
    g_object_set(text, "wrap-mode", PANGO_WRAP_WORD_CHAR, "wrap-width", 210, NULL);
    gtk_tree_view_insert_column_with_attributes(GTK_TREE_VIEW(subjects->view), -1, NULL, picture, "pixbuf", COLUMN_PICTURE, NULL);
    gtk_tree_view_insert_column_with_attributes(GTK_TREE_VIEW(subjects->view), -1, NULL, text, "markup", COLUMN_TEXT, NULL);
    subjects->widget = gtk_scrolled_window_new(NULL, NULL);
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(subjects->widget), GTK_POLICY_NEVER, GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_shadow_type(GTK_SCROLLED_WINDOW(subjects->widget), GTK_SHADOW_IN);
    gtk_widget_set_size_request(subjects->widget, -1, 84);
    gtk_container_add(GTK_CONTAINER(subjects->widget), subjects->view);
    fill(subjects);
    choose(subjects, chosen);
    subjects->changed = changed;
    subjects->data = data;
    g_signal_connect(gtk_tree_view_get_selection(GTK_TREE_VIEW(subjects->view)), "changed", G_CALLBACK(selected), subjects);
    return subjects;
}

void subjects_free(Subjects *subjects) {
    g_object_unref(subjects->store);
    g_free(subjects->error);
    g_free(subjects);
}

GtkWidget *subjects_widget(Subjects *subjects) { return subjects->widget; }

static char *column(const Subjects *subjects, int which) {
    GtkTreeIter row;
    char *text = NULL;
    GtkTreeSelection *selection = gtk_tree_view_get_selection(GTK_TREE_VIEW(subjects->view));
    if (gtk_tree_selection_get_selected(selection, NULL, &row))
        gtk_tree_model_get(GTK_TREE_MODEL(subjects->store), &row, which, &text, -1);
    return text;
}

char *subjects_chosen(const Subjects *subjects) { return column(subjects, COLUMN_NAME); }

char *subjects_word(const Subjects *subjects) { return column(subjects, COLUMN_WORD); }

char *subjects_caption(const Subjects *subjects) { return column(subjects, COLUMN_CAPTION); }

char *subjects_problem(const Subjects *subjects) {
    if (subjects->error) return g_strdup(subjects->error);
    if (gtk_tree_model_iter_n_children(GTK_TREE_MODEL(subjects->store), NULL) == 0)
        return g_strdup(_("There are no subjects yet: select one in a picture and use Learn Subject from Selection first."));
    char *problem = column(subjects, COLUMN_PROBLEM);
    if (!problem) return g_strdup(_("Choose a subject."));
    if (*problem) return problem;
    g_free(problem);
    return NULL;
}
