/* GIMP 2.10: the plug-in's entry, and host.h by its API. */
#include <libgimp/gimp.h>
#include <string.h>

#include "engine.h"
#include "host.h"
#include "run.h"
#include "words.h"

/* Arguments that every procedure has: run mode, image, drawable. */
#define FIXED_ARGS 3

static void query(void);
static void run_procedure(const gchar *name, gint count, const GimpParam *given, gint *result_count, GimpParam **result);

const GimpPlugInInfo PLUG_IN_INFO = {NULL, NULL, query, run_procedure};

MAIN()

/* ---- The procedures ----------------------------------------------------------------------------------------- */

static char *locale_folder(void) {
    char *folder = g_path_get_dirname(host_executable());
    char *locale = g_build_filename(folder, "locale", NULL);
    g_free(folder);
    return locale;
}

/* Help with what the value may be, as the procedure browser shows it. */
static char *arg_help(const Arg *arg) {
    if (arg->kind == ARG_FLAG) return g_strdup_printf("%s { FALSE (0), TRUE (1) }", arg->help);
    if (arg->kind == ARG_INT || arg->kind == ARG_REAL)
        return g_strdup_printf("%s { %.12g <= %s <= %.12g }", arg->help, arg->least, arg->name, arg->most);
    if (arg->kind != ARG_CHOICE) return g_strdup(arg->help);
    GString *help = g_string_new(arg->help);
    for (int i = 0; arg->choices[i]; i++) {
        char *name = g_ascii_strup(arg->choices[i], -1);
        g_string_append_printf(help, "%s%s (%d)", i ? ", " : " { ", name, i);
        g_free(name);
    }
    return g_string_free(g_string_append(help, " }"), FALSE);
}

static GimpPDBArgType arg_type(const Arg *arg) {
    if (arg->kind == ARG_TEXT) return GIMP_PDB_STRING;
    if (arg->kind == ARG_REAL) return GIMP_PDB_FLOAT;
    return arg->kind == ARG_LAYER ? GIMP_PDB_LAYER : GIMP_PDB_INT32;
}

static void install(const Procedure *procedure) {
    static const GimpParamDef FIXED[FIXED_ARGS] = {
        {GIMP_PDB_INT32, "run-mode", "The run mode { RUN-INTERACTIVE (0), RUN-NONINTERACTIVE (1), RUN-WITH-LAST-VALS (2) }"},
        {GIMP_PDB_IMAGE, "image", "The image"},
        {GIMP_PDB_DRAWABLE, "drawable", "The layer"},
    };
    /* Not the layers themselves: GIMP 2.10 crashes when a procedure that returns an array fails with a sentence. */
    static const GimpParamDef LAYERS[] = {
        {GIMP_PDB_INT32, "num-layers", "How many layers were added; they lie directly above the one that was given"},
    };
    GimpParamDef args[FIXED_ARGS + 32];
    guint count = MIN(procedure->arg_count, 32);
    memcpy(args, FIXED, sizeof FIXED);
    for (guint i = 0; i < count; i++)
        args[FIXED_ARGS + i] = (GimpParamDef){arg_type(&procedure->args[i]), (gchar *)procedure->args[i].name,
                                              arg_help(&procedure->args[i])};
    gimp_install_procedure(procedure->name, procedure->blurb, procedure->help, "Repose", "Repose, MIT OR Apache-2.0", "2026",
                           procedure->menu, "RGB*, GRAY*", GIMP_PLUGIN, FIXED_ARGS + (gint)count,
                           procedure->gives_layers ? 1 : 0, args, procedure->gives_layers ? LAYERS : NULL);
    gimp_plugin_menu_register(procedure->name, "<Image>/Filters/Repose");
    for (guint i = 0; i < count; i++) g_free(args[FIXED_ARGS + i].description);
}

static void query(void) {
    char *locale = locale_folder();
    gimp_plugin_domain_register("repose", locale);
    g_free(locale);
    for (int work = 0; work < WORKS; work++) install(&PROCEDURES[work]);
}

static gboolean take(const Procedure *procedure, gint count, const GimpParam *given, Settings *settings) {
    if (count != FIXED_ARGS + (gint)procedure->arg_count) return FALSE;
    for (guint i = 0; i < procedure->arg_count; i++) {
        const Arg *arg = &procedure->args[i];
        const GimpParam *value = &given[FIXED_ARGS + i];
        gpointer at = ARG_AT(settings, arg);
        if (arg->kind == ARG_TEXT)
            settings_text(at, value->data.d_string);
        else if (arg->kind == ARG_REAL)
            *(double *)at = value->data.d_float;
        else
            *(int *)at = value->data.d_int32; /* a layer's number is one, too */
    }
    return TRUE;
}

/* The last settings of this session, kept by GIMP as a key file. */
static void last_settings(const Procedure *procedure, Settings *settings) {
    gint size = gimp_get_data_size(procedure->name);
    char *text = g_malloc0((gsize)MAX(size, 0) + 1);
    GKeyFile *file = g_key_file_new();
    if (size > 0 && gimp_get_data(procedure->name, text) && g_key_file_load_from_data(file, text, (gsize)size, 0, NULL)) {
        for (guint i = 0; i < procedure->arg_count; i++) {
            const Arg *arg = &procedure->args[i];
            gpointer at = ARG_AT(settings, arg);
            if (!g_key_file_has_key(file, "last", arg->name, NULL)) continue;
            if (arg->kind == ARG_TEXT) {
                char *value = g_key_file_get_string(file, "last", arg->name, NULL);
                settings_text(at, value);
                g_free(value);
            } else if (arg->kind == ARG_REAL) {
                *(double *)at = g_key_file_get_double(file, "last", arg->name, NULL);
            } else {
                *(int *)at = g_key_file_get_integer(file, "last", arg->name, NULL);
            }
        }
    }
    g_key_file_free(file);
    g_free(text);
}

static void keep_settings(const Procedure *procedure, const Settings *settings) {
    GKeyFile *file = g_key_file_new();
    for (guint i = 0; i < procedure->arg_count; i++) {
        const Arg *arg = &procedure->args[i];
        gconstpointer at = ARG_AT(settings, arg);
        if (arg->kind == ARG_TEXT)
            g_key_file_set_string(file, "last", arg->name, *(char *const *)at);
        else if (arg->kind == ARG_REAL)
            g_key_file_set_double(file, "last", arg->name, *(const double *)at);
        else
            g_key_file_set_integer(file, "last", arg->name, *(const int *)at);
    }
    gsize size = 0;
    char *text = g_key_file_to_data(file, &size, NULL);
    gimp_set_data(procedure->name, text, (guint32)size);
    g_free(text);
    g_key_file_free(file);
}

static void run_procedure(const gchar *name, gint count, const GimpParam *given, gint *result_count, GimpParam **result) {
    static GimpParam values[2]; /* GIMP reads them after this has returned */
    static char *sentence;
    Work work = procedure_find(name);
    RunEnd end = RUN_FAILED;
    GError *error = NULL;
    Settings settings;
    char *locale = locale_folder();
    bindtextdomain("repose", locale);
    bind_textdomain_codeset("repose", "UTF-8");
    textdomain("repose");
    g_free(locale);

    *result = values;
    *result_count = 1;
    values[0] = (GimpParam){.type = GIMP_PDB_STATUS, .data.d_status = GIMP_PDB_CALLING_ERROR};
    if (work == WORKS || count < FIXED_ARGS) return;
    const Procedure *procedure = &PROCEDURES[work];
    GimpRunMode mode = (GimpRunMode)given[0].data.d_int32;
    settings_init(&settings);
    GArray *layers = g_array_new(FALSE, FALSE, sizeof(gint32));
    if (mode == GIMP_RUN_NONINTERACTIVE) {
        if (!take(procedure, count, given, &settings)) return;
    } else {
        last_settings(procedure, &settings);
    }
    end = run(work, given[1].data.d_image, given[2].data.d_drawable, mode == GIMP_RUN_INTERACTIVE, &settings, layers, &error);
    if (end == RUN_DONE) {
        if (mode == GIMP_RUN_INTERACTIVE) keep_settings(procedure, &settings);
        values[0].data.d_status = GIMP_PDB_SUCCESS;
        if (procedure->gives_layers) {
            *result_count = 2;
            values[1] = (GimpParam){.type = GIMP_PDB_INT32, .data.d_int32 = (gint32)layers->len};
        }
    } else if (end == RUN_CANCELLED) {
        values[0].data.d_status = GIMP_PDB_CANCEL;
    } else {
        values[0].data.d_status = GIMP_PDB_EXECUTION_ERROR;
        if (error) {
            sentence = g_strdup(error->message);
            *result_count = 2;
            values[1] = (GimpParam){.type = GIMP_PDB_STRING, .data.d_string = sentence};
        }
    }
    g_array_free(layers, TRUE);
    g_clear_error(&error);
    settings_clear(&settings);
}

/* ---- host.h ------------------------------------------------------------------------------------------------- */

const char *host_executable(void) { return gimp_get_progname(); }

gboolean host_image_exists(gint32 image) { return gimp_image_is_valid(image); }

gboolean host_layer_exists(gint32 image, gint32 layer) {
    return gimp_item_is_valid(layer) && gimp_item_is_layer(layer) && gimp_item_get_image(layer) == image;
}

gint32 host_layer_of(gint32 image, gint32 drawable, GError **error) {
    const char *what = NULL;
    gint32 layer = gimp_item_is_valid(drawable) && gimp_item_is_layer_mask(drawable) ? gimp_layer_from_mask(drawable) : drawable;
    if (!host_layer_exists(image, layer))
        what = _("No layer is active: click the layer to work on in the Layers dialog.");
    else if (gimp_item_is_group(layer))
        what = _("A layer group is active: click a layer inside it.");
    else if (gimp_layer_is_floating_sel(layer))
        what = _("A floating selection is active: anchor it or make it a layer first.");
    if (!what) return layer;
    g_set_error_literal(error, SHIM_ERROR, REPOSE_CALLER, what);
    return NONE;
}

GeglRectangle host_layer_place(gint32 layer) {
    GeglRectangle place = {0, 0, gimp_drawable_width(layer), gimp_drawable_height(layer)};
    gimp_drawable_offsets(layer, &place.x, &place.y);
    return place;
}

char *host_layer_name(gint32 layer) { return gimp_item_get_name(layer); }

const Babl *host_layer_format(gint32 layer) { return gimp_drawable_get_format(layer); }

GeglBuffer *host_pixels(gint32 drawable) { return gimp_drawable_get_buffer(drawable); }

void host_pixels_written(gint32 drawable) {
    gimp_drawable_update(drawable, 0, 0, gimp_drawable_width(drawable), gimp_drawable_height(drawable));
}

static void collect(const gint *items, gint count, GArray *layers) {
    for (gint i = 0; i < count; i++) {
        gint32 item = items[i];
        if (!gimp_item_is_group(item)) {
            g_array_append_val(layers, item);
            continue;
        }
        gint child_count = 0;
        gint *children = gimp_item_get_children(item, &child_count);
        collect(children, child_count, layers);
        g_free(children);
    }
}

gint32 *host_layers(gint32 image, guint *count) {
    GArray *layers = g_array_new(FALSE, FALSE, sizeof(gint32));
    gint top_count = 0;
    gint *top = gimp_image_get_layers(image, &top_count);
    collect(top, top_count, layers);
    g_free(top);
    *count = layers->len;
    return (gint32 *)(gpointer)g_array_free(layers, FALSE);
}

gboolean host_selection_bounds(gint32 image, GeglRectangle *bounds) {
    gboolean any = FALSE;
    gint left = 0, top = 0, right = 0, bottom = 0;
    gimp_selection_bounds(image, &any, &left, &top, &right, &bottom);
    *bounds = (GeglRectangle){left, top, right - left, bottom - top};
    return any;
}

GeglBuffer *host_selection_pixels(gint32 image) { return gimp_drawable_get_buffer(gimp_image_get_selection(image)); }

GBytes *host_profile(gint32 image) {
    GBytes *bytes = NULL;
    GimpColorProfile *profile = gimp_image_get_color_profile(image);
    if (profile) {
        gsize size = 0;
        const guint8 *data = gimp_color_profile_get_icc_profile(profile, &size);
        bytes = g_bytes_new(data, size);
        g_object_unref(profile);
    }
    return bytes;
}

gint32 host_layer_insert(gint32 image, gint32 above, const char *name, const GeglRectangle *place, gboolean alpha,
                         gboolean visible) {
    gboolean grey = gimp_image_base_type(image) == GIMP_GRAY;
    GimpImageType type = grey ? (alpha ? GIMP_GRAYA_IMAGE : GIMP_GRAY_IMAGE) : (alpha ? GIMP_RGBA_IMAGE : GIMP_RGB_IMAGE);
    gint32 layer = gimp_layer_new(image, name, place->width, place->height, type, 100, gimp_image_get_default_new_layer_mode(image));
    if (layer == NONE) return NONE;
    gint32 parent = gimp_item_get_parent(above);
    if (!gimp_image_insert_layer(image, layer, parent, gimp_image_get_item_position(image, above))) {
        gimp_item_delete(layer);
        return NONE;
    }
    gimp_layer_set_offsets(layer, place->x, place->y);
    gimp_item_set_visible(layer, visible);
    return layer;
}

gint32 host_mask_add(gint32 layer) {
    gint32 mask = gimp_layer_create_mask(layer, GIMP_ADD_MASK_BLACK);
    return mask != NONE && gimp_layer_add_mask(layer, mask) ? mask : NONE;
}

void host_layer_remove(gint32 image, gint32 layer) { gimp_image_remove_layer(image, layer); }

void host_layer_activate(gint32 image, gint32 layer) { gimp_image_set_active_layer(image, layer); }

void host_undo_begin(gint32 image) { gimp_image_undo_group_start(image); }

void host_undo_end(gint32 image) { gimp_image_undo_group_end(image); }

void host_redraw(void) { gimp_displays_flush(); }

static char *note_text(GimpParasite *parasite) {
    if (!parasite) return NULL;
    char *text = g_strndup(gimp_parasite_data(parasite), (gsize)gimp_parasite_data_size(parasite));
    gimp_parasite_free(parasite);
    return text;
}

char *host_image_note(gint32 image, const char *name) { return note_text(gimp_image_get_parasite(image, name)); }

void host_image_note_set(gint32 image, const char *name, const char *text) {
    GimpParasite *parasite = gimp_parasite_new(name, GIMP_PARASITE_PERSISTENT | GIMP_PARASITE_UNDOABLE,
                                               (guint32)strlen(text) + 1, text);
    gimp_image_attach_parasite(image, parasite);
    gimp_parasite_free(parasite);
}

char *host_note(const char *name) { return note_text(gimp_get_parasite(name)); }

void host_note_set(const char *name, const char *text) {
    GimpParasite *parasite = gimp_parasite_new(name, 0, (guint32)strlen(text) + 1, text);
    gimp_attach_parasite(parasite);
    gimp_parasite_free(parasite);
}

GArray *host_path_points(gint32 image) {
    gint32 path = gimp_image_get_active_vectors(image);
    if (path == NONE) return NULL;
    GArray *points = g_array_new(FALSE, FALSE, sizeof(double));
    gint count = 0;
    gint *strokes = gimp_vectors_get_strokes(path, &count);
    for (gint i = 0; i < count; i++) {
        gint numbers = 0;
        gdouble *values = NULL;
        gboolean closed = FALSE;
        gimp_vectors_stroke_get_points(path, strokes[i], &numbers, &values, &closed);
        g_array_append_vals(points, values, (guint)(numbers - numbers % 6));
        g_free(values);
    }
    g_free(strokes);
    return points;
}

void host_progress_begin(const char *text) { gimp_progress_init(text); }

void host_progress(const char *text, double fraction) {
    gimp_progress_set_text(text);
    gimp_progress_update(fraction);
}

void host_progress_end(void) { gimp_progress_end(); }

void host_message(const char *text) { gimp_message(text); }
