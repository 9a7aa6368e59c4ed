/* GIMP 3: the plug-in's entry, and host.h by its API. */
#include <libgimp/gimp.h>
#include <string.h>

#include "engine.h"
#include "host.h"
#include "run.h"
#include "words.h"

/* ---- The procedures ----------------------------------------------------------------------------------------- */

#define REPOSE_TYPE_PLUG_IN (repose_plug_in_get_type())
G_DECLARE_FINAL_TYPE(ReposePlugIn, repose_plug_in, REPOSE, PLUG_IN, GimpPlugIn)

struct _ReposePlugIn {
    GimpPlugIn parent_instance;
};

G_DEFINE_TYPE(ReposePlugIn, repose_plug_in, GIMP_TYPE_PLUG_IN)
GIMP_MAIN(REPOSE_TYPE_PLUG_IN)

/* Translations lie in the folder `locale` beside the executable. GIMP complains about a folder that is not there. */
static gboolean set_i18n(GimpPlugIn *plug_in, const gchar *procedure, gchar **domain, gchar **folder) {
    (void)plug_in;
    (void)procedure;
    char *beside = g_path_get_dirname(host_executable());
    char *locale = g_build_filename(beside, "locale", NULL);
    gboolean there = g_file_test(locale, G_FILE_TEST_IS_DIR);
    if (there) {
        *domain = g_strdup("repose");
        *folder = g_strdup("locale");
    }
    g_free(beside);
    g_free(locale);
    return there;
}

static GList *query_procedures(GimpPlugIn *plug_in) {
    GList *names = NULL;
    (void)plug_in;
    for (int work = 0; work < WORKS; work++) names = g_list_append(names, g_strdup(PROCEDURES[work].name));
    return names;
}

static void take(const Procedure *procedure, GimpProcedureConfig *config, Settings *settings) {
    for (guint i = 0; i < procedure->arg_count; i++) {
        const Arg *arg = &procedure->args[i];
        gpointer at = ARG_AT(settings, arg);
        if (arg->kind == ARG_TEXT) {
            char *text = NULL;
            g_object_get(config, arg->name, &text, NULL);
            settings_text(at, text);
            g_free(text);
        } else if (arg->kind == ARG_CHOICE) {
            *(int *)at = gimp_procedure_config_get_choice_id(config, arg->name);
        } else if (arg->kind == ARG_LAYER) {
            GimpItem *item = NULL;
            g_object_get(config, arg->name, &item, NULL);
            *(int *)at = item ? gimp_item_get_id(item) : NONE;
            g_clear_object(&item);
        } else {
            g_object_get(config, arg->name, at, NULL);
        }
    }
}

/* What the user chose becomes the procedure's last values. */
static void keep(const Procedure *procedure, GimpProcedureConfig *config, const Settings *settings) {
    for (guint i = 0; i < procedure->arg_count; i++) {
        const Arg *arg = &procedure->args[i];
        gconstpointer at = ARG_AT(settings, arg);
        if (arg->kind == ARG_TEXT)
            g_object_set(config, arg->name, *(char *const *)at, NULL);
        else if (arg->kind == ARG_REAL)
            g_object_set(config, arg->name, *(const double *)at, NULL);
        else if (arg->kind == ARG_CHOICE)
            g_object_set(config, arg->name, arg->choices[*(const int *)at], NULL);
        else if (arg->kind == ARG_LAYER)
            g_object_set(config, arg->name, gimp_layer_get_by_id(*(const int *)at), NULL);
        else
            g_object_set(config, arg->name, *(const int *)at, NULL);
    }
}

static GimpValueArray *run_procedure(GimpProcedure *called, GimpRunMode mode, GimpImage *image, GimpDrawable **drawables,
                                     GimpProcedureConfig *config, gpointer data) {
    Work work = (Work)GPOINTER_TO_INT(data);
    const Procedure *procedure = &PROCEDURES[work];
    GimpPDBStatusType status = GIMP_PDB_EXECUTION_ERROR;
    RunEnd end = RUN_FAILED;
    GError *error = NULL;
    Settings settings;
    GArray *ids = g_array_new(FALSE, FALSE, sizeof(gint32));
    settings_init(&settings);
    take(procedure, config, &settings);
    if (gimp_core_object_array_get_length((GObject **)drawables) == 1)
        end = run(work, gimp_image_get_id(image), gimp_item_get_id(GIMP_ITEM(drawables[0])), mode == GIMP_RUN_INTERACTIVE,
                  &settings, ids, &error);
    else
        g_set_error_literal(&error, SHIM_ERROR, REPOSE_CALLER, _("Select exactly one layer in the Layers dialog."));
    if (end == RUN_DONE) {
        status = GIMP_PDB_SUCCESS;
        if (mode == GIMP_RUN_INTERACTIVE) keep(procedure, config, &settings);
    } else if (end == RUN_CANCELLED) {
        status = GIMP_PDB_CANCEL;
    }
    GimpValueArray *values = gimp_procedure_new_return_values(called, status, error);
    if (status == GIMP_PDB_SUCCESS && procedure->gives_layers) {
        GimpLayer **layers = g_new0(GimpLayer *, ids->len + 1);
        for (guint i = 0; i < ids->len; i++) layers[i] = gimp_layer_get_by_id(g_array_index(ids, gint32, i));
        GIMP_VALUES_SET_CORE_OBJECT_ARRAY(values, 1, layers);
        g_free(layers);
    }
    g_array_free(ids, TRUE);
    settings_clear(&settings);
    return values;
}

static void add_argument(GimpProcedure *procedure, const Arg *arg) {
    const GParamFlags flags = G_PARAM_READWRITE;
    const char *label = _(arg->label), *help = _(arg->help);
    if (arg->kind == ARG_TEXT) {
        gimp_procedure_add_string_argument(procedure, arg->name, label, help, arg->text, flags);
    } else if (arg->kind == ARG_INT) {
        gimp_procedure_add_int_argument(procedure, arg->name, label, help, (gint)arg->least, (gint)arg->most,
                                        (gint)arg->standard, flags);
    } else if (arg->kind == ARG_REAL) {
        gimp_procedure_add_double_argument(procedure, arg->name, label, help, arg->least, arg->most, arg->standard, flags);
    } else if (arg->kind == ARG_FLAG) {
        gimp_procedure_add_boolean_argument(procedure, arg->name, label, help, arg->standard != 0, flags);
    } else if (arg->kind == ARG_LAYER) {
        gimp_procedure_add_layer_argument(procedure, arg->name, label, help, TRUE, flags);
    } else {
        GimpChoice *choice = gimp_choice_new();
        for (int i = 0; arg->choices[i]; i++) gimp_choice_add(choice, arg->choices[i], i, arg->choices[i], NULL);
        gimp_procedure_add_choice_argument(procedure, arg->name, label, help, choice, arg->choices[(int)arg->standard], flags);
    }
}

static GimpProcedure *create_procedure(GimpPlugIn *plug_in, const gchar *name) {
    Work work = procedure_find(name);
    if (work == WORKS) return NULL;
    const Procedure *described = &PROCEDURES[work];
    GimpProcedure *procedure =
        gimp_image_procedure_new(plug_in, name, GIMP_PDB_PROC_TYPE_PLUGIN, run_procedure, GINT_TO_POINTER(work), NULL);
    gimp_procedure_set_image_types(procedure, "RGB*, GRAY*");
    gimp_procedure_set_sensitivity_mask(procedure, GIMP_PROCEDURE_SENSITIVE_DRAWABLE);
    gimp_procedure_set_menu_label(procedure, _(described->menu));
    gimp_procedure_add_menu_path(procedure, "<Image>/Filters/Repose");
    gimp_procedure_set_documentation(procedure, _(described->blurb), _(described->help), name);
    gimp_procedure_set_attribution(procedure, "Repose", "Repose, MIT OR Apache-2.0", "2026");
    for (guint i = 0; i < described->arg_count; i++) add_argument(procedure, &described->args[i]);
    if (described->gives_layers)
        gimp_procedure_add_core_object_array_return_value(procedure, "layers", _("Layers"), _("The new layers, bottom first"),
                                                          GIMP_TYPE_LAYER, G_PARAM_READWRITE);
    return procedure;
}

static void repose_plug_in_class_init(ReposePlugInClass *class) {
    GimpPlugInClass *plug_in = GIMP_PLUG_IN_CLASS(class);
    plug_in->query_procedures = query_procedures;
    plug_in->create_procedure = create_procedure;
    plug_in->set_i18n = set_i18n;
}

static void repose_plug_in_init(ReposePlugIn *plug_in) { (void)plug_in; }

/* ---- host.h ------------------------------------------------------------------------------------------------- */

static GimpItem *item_of(gint32 id) { return gimp_item_get_by_id(id); }

const char *host_executable(void) { return gimp_get_progname(); }

gboolean host_image_exists(gint32 image) { return gimp_image_id_is_valid(image); }

gboolean host_layer_exists(gint32 image, gint32 layer) {
    return gimp_item_id_is_valid(layer) && gimp_item_id_is_layer(layer) &&
           gimp_image_get_id(gimp_item_get_image(item_of(layer))) == image;
}

gint32 host_layer_of(gint32 image, gint32 drawable, GError **error) {
    const char *what = NULL;
    gint32 layer = drawable;
    if (gimp_item_id_is_valid(drawable) && gimp_item_id_is_layer_mask(drawable))
        layer = gimp_item_get_id(GIMP_ITEM(gimp_layer_from_mask(GIMP_LAYER_MASK(item_of(drawable)))));
    if (!host_layer_exists(image, layer))
        what = _("No layer is active: click the layer to work on in the Layers dialog.");
    else if (gimp_item_is_group(item_of(layer)))
        what = _("A layer group is active: click a layer inside it.");
    else if (gimp_layer_is_floating_sel(gimp_layer_get_by_id(layer)))
        what = _("A floating selection is active: anchor it or make it a layer first.");
    if (!what) return layer;
    g_set_error_literal(error, SHIM_ERROR, REPOSE_CALLER, what);
    return NONE;
}

GeglRectangle host_layer_place(gint32 layer) {
    GimpDrawable *drawable = gimp_drawable_get_by_id(layer);
    GeglRectangle place = {0, 0, gimp_drawable_get_width(drawable), gimp_drawable_get_height(drawable)};
    gimp_drawable_get_offsets(drawable, &place.x, &place.y);
    return place;
}

char *host_layer_name(gint32 layer) { return gimp_item_get_name(item_of(layer)); }

const Babl *host_layer_format(gint32 layer) { return gimp_drawable_get_format(gimp_drawable_get_by_id(layer)); }

GeglBuffer *host_pixels(gint32 drawable) { return gimp_drawable_get_buffer(gimp_drawable_get_by_id(drawable)); }

void host_pixels_written(gint32 id) {
    GimpDrawable *drawable = gimp_drawable_get_by_id(id);
    gimp_drawable_update(drawable, 0, 0, gimp_drawable_get_width(drawable), gimp_drawable_get_height(drawable));
}

/* `items` ends with NULL and is freed. */
static void collect(GimpItem **items, GArray *layers) {
    for (GimpItem **item = items; item && *item; item++) {
        gint32 id = gimp_item_get_id(*item);
        if (gimp_item_is_group(*item))
            collect(gimp_item_get_children(*item), layers);
        else
            g_array_append_val(layers, id);
    }
    g_free(items);
}

gint32 *host_layers(gint32 image, guint *count) {
    GArray *layers = g_array_new(FALSE, FALSE, sizeof(gint32));
    collect((GimpItem **)gimp_image_get_layers(gimp_image_get_by_id(image)), layers);
    *count = layers->len;
    return (gint32 *)(gpointer)g_array_free(layers, FALSE);
}

gboolean host_selection_bounds(gint32 image, GeglRectangle *bounds) {
    gboolean any = FALSE;
    gint left = 0, top = 0, right = 0, bottom = 0;
    gimp_selection_bounds(gimp_image_get_by_id(image), &any, &left, &top, &right, &bottom);
    *bounds = (GeglRectangle){left, top, right - left, bottom - top};
    return any;
}

GeglBuffer *host_selection_pixels(gint32 image) {
    return gimp_drawable_get_buffer(GIMP_DRAWABLE(gimp_image_get_selection(gimp_image_get_by_id(image))));
}

GBytes *host_profile(gint32 image) {
    GBytes *bytes = NULL;
    GimpColorProfile *profile = gimp_image_get_color_profile(gimp_image_get_by_id(image));
    if (profile) {
        gsize size = 0;
        const guint8 *data = gimp_color_profile_get_icc_profile(profile, &size);
        bytes = g_bytes_new(data, size);
        g_object_unref(profile);
    }
    return bytes;
}

gint32 host_layer_insert(gint32 image_id, gint32 above_id, const char *name, const GeglRectangle *place, gboolean alpha,
                         gboolean visible) {
    GimpImage *image = gimp_image_get_by_id(image_id);
    GimpItem *above = item_of(above_id);
    gboolean grey = gimp_image_get_base_type(image) == GIMP_GRAY;
    GimpImageType type = grey ? (alpha ? GIMP_GRAYA_IMAGE : GIMP_GRAY_IMAGE) : (alpha ? GIMP_RGBA_IMAGE : GIMP_RGB_IMAGE);
    GimpLayer *layer = gimp_layer_new(image, name, place->width, place->height, type, 100, gimp_image_get_default_new_layer_mode(image));
    if (!layer) return NONE;
    if (!gimp_image_insert_layer(image, layer, GIMP_LAYER(gimp_item_get_parent(above)),
                                 gimp_image_get_item_position(image, above))) {
        gimp_item_delete(GIMP_ITEM(layer));
        return NONE;
    }
    gimp_layer_set_offsets(layer, place->x, place->y);
    gimp_item_set_visible(GIMP_ITEM(layer), visible);
    return gimp_item_get_id(GIMP_ITEM(layer));
}

gint32 host_mask_add(gint32 id) {
    GimpLayer *layer = gimp_layer_get_by_id(id);
    GimpLayerMask *mask = gimp_layer_create_mask(layer, GIMP_ADD_MASK_BLACK);
    return mask && gimp_layer_add_mask(layer, mask) ? gimp_item_get_id(GIMP_ITEM(mask)) : NONE;
}

void host_layer_remove(gint32 image, gint32 layer) {
    gimp_image_remove_layer(gimp_image_get_by_id(image), gimp_layer_get_by_id(layer));
}

void host_layer_activate(gint32 image, gint32 layer) {
    const GimpLayer *layers[] = {gimp_layer_get_by_id(layer), NULL};
    gimp_image_set_selected_layers(gimp_image_get_by_id(image), layers);
}

void host_undo_begin(gint32 image) { gimp_image_undo_group_start(gimp_image_get_by_id(image)); }

void host_undo_end(gint32 image) { gimp_image_undo_group_end(gimp_image_get_by_id(image)); }

void host_redraw(void) { gimp_displays_flush(); }

static char *note_text(GimpParasite *parasite) {
    guint32 size = 0;
    if (!parasite) return NULL;
    gconstpointer data = gimp_parasite_get_data(parasite, &size);
    char *text = g_strndup(data, size);
    gimp_parasite_free(parasite);
    return text;
}

char *host_image_note(gint32 image, const char *name) {
    return note_text(gimp_image_get_parasite(gimp_image_get_by_id(image), name));
}

void host_image_note_set(gint32 image, const char *name, const char *text) {
    GimpParasite *parasite = gimp_parasite_new(name, GIMP_PARASITE_PERSISTENT | GIMP_PARASITE_UNDOABLE,
                                               (guint32)strlen(text) + 1, text);
    gimp_image_attach_parasite(gimp_image_get_by_id(image), parasite);
    gimp_parasite_free(parasite);
}

char *host_note(const char *name) { return note_text(gimp_get_parasite(name)); }

void host_note_set(const char *name, const char *text) {
    GimpParasite *parasite = gimp_parasite_new(name, 0, (guint32)strlen(text) + 1, text);
    gimp_attach_parasite(parasite);
    gimp_parasite_free(parasite);
}

GArray *host_path_points(gint32 image) {
    GimpPath **paths = gimp_image_get_selected_paths(gimp_image_get_by_id(image));
    GArray *points = NULL;
    for (GimpPath **path = paths; path && *path; path++) {
        gsize count = 0;
        gint *strokes = gimp_path_get_strokes(*path, &count);
        if (!points) points = g_array_new(FALSE, FALSE, sizeof(double));
        for (gsize i = 0; i < count; i++) {
            gsize numbers = 0;
            gdouble *values = NULL;
            gboolean closed = FALSE;
            gimp_path_stroke_get_points(*path, strokes[i], &numbers, &values, &closed);
            g_array_append_vals(points, values, (guint)(numbers - numbers % 6));
            g_free(values);
        }
        g_free(strokes);
    }
    g_free(paths);
    return points;
}

void host_progress_begin(const char *text) { gimp_progress_init(text); }

void host_progress(const char *text, double fraction) {
    gimp_progress_set_text(text);
    gimp_progress_update(fraction);
}

void host_progress_end(void) { gimp_progress_end(); }

void host_message(const char *text) { gimp_message(text); }
