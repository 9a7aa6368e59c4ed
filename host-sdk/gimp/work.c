#include "work.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "engine.h"
#include "host.h"
#include "pins.h"
#include "words.h"

#define HISTORY "repose-history"

/* The stages that plugin/src names, for the translators. */
static const char *const STAGES[] G_GNUC_UNUSED = {
    N_("preparing"), N_("subject"), N_("pose"),    N_("background"), N_("subject texture"),
    N_("matte"),     N_("colours"), N_("mesh"),    N_("saving"),     N_("queued"),
    N_("waiting"),   N_("model"),   N_("encoding"), N_("inverting"), N_("sampling"),
    N_("decoding"),  N_("training"), N_("pictures of the class"), N_("measuring"),
};

/* NULL for a text with nothing in it. */
static const char *filled(const char *text) { return text[strspn(text, " \t")] ? text : NULL; }

static ReposeStatus learn(const Settings *settings, const Reading *reading, ReposeEngine *engine, ReposeJob **job,
                          ReposeBytes **sentence) {
    ReposeTraining training = {
        .struct_size = sizeof training,
        .recipe = settings->recipe,
        .model = filled(settings->model),
    };
    gboolean taught = filled(settings->recipe) && strcmp(settings->recipe, "patch") != 0;
    ReposeLearnRequest request = {
        .struct_size = sizeof request,
        .refine = (ReposeRefine)settings->edge,
        .picture = &reading->picture,
        .selection = &reading->selection,
        .name = settings->subject,
        .consent = settings->consent,
        .expires = *settings->expires ? settings->expires : NULL,
        .person = settings->person ? 1 : 0,
        .person_agrees = settings->person && settings->person_agrees ? 1 : 0,
        .caption = filled(settings->caption),
        .word = filled(settings->word),
        .training = taught ? &training : NULL,
    };
    return engine_api()->job_learn(engine, &request, job, sentence);
}

static ReposeStatus pose(const Picture *picture, const Settings *settings, const Reading *reading, const Reading *guide,
                         GArray *pins, ReposeEngine *engine, ReposeJob **job, ReposeBytes **sentence) {
    for (guint i = 0; i < pins->len; i++) { /* the image's pixels → the layer's */
        ReposePin *pin = &g_array_index(pins, ReposePin, i);
        pin->from_x -= (float)picture->place.x;
        pin->from_y -= (float)picture->place.y;
        pin->to_x -= (float)picture->place.x;
        pin->to_y -= (float)picture->place.y;
    }
    ReposeText text = {
        .struct_size = sizeof text,
        .steps = (uint32_t)settings->steps,
        .model = filled(settings->model),
        .negative = filled(settings->negative),
        .source = filled(settings->source),
        .sampler = filled(settings->sampler),
        .strength = (float)settings->strength,
        .guidance = (float)settings->guidance,
    };
    gboolean told = text.steps || text.model || text.negative || text.source || text.sampler || text.strength > 0 || text.guidance > 0;
    const char *prompt = filled(settings->prompt);
    ReposePoseRequest request = {
        .struct_size = sizeof request,
        .candidates = (uint32_t)settings->candidates,
        .picture = &reading->picture,
        .selection = picture->selected ? &reading->selection : NULL,
        .subject = settings->subject,
        .pins = pins->len ? (const ReposePin *)(gpointer)pins->data : NULL,
        .pin_count = pins->len,
        .version = (uint32_t)settings->version,
        .guide = guide->pixels ? &guide->picture : NULL,
        .prompt = prompt,
        .offset_x = (float)settings->move_x,
        .offset_y = (float)settings->move_y,
        .scale = (float)settings->scale,
        .angle = (float)settings->rotate,
        .seed = (uint64_t)settings->seed,
        .grow = (uint32_t)settings->grow,
        .text = prompt && told ? &text : NULL, /* a text alone would ask for a text model, too */
    };
    return engine_api()->job_repose(engine, &request, job, sentence);
}

static ReposeStatus erase(const Settings *settings, const Reading *reading, ReposeEngine *engine, ReposeJob **job,
                          ReposeBytes **sentence) {
    ReposeEraseRequest request = {
        .struct_size = sizeof request,
        .candidates = (uint32_t)settings->candidates,
        .picture = &reading->picture,
        .selection = &reading->selection,
        .seed = (uint64_t)settings->seed,
        .grow = (uint32_t)settings->grow,
    };
    return engine_api()->job_erase(engine, &request, job, sentence);
}

ReposeJob *work_start(Work work, const Picture *picture, const Settings *settings, GError **error) {
    Reading reading = {0}, guide = {0};
    GArray *pins = NULL;
    ReposeJob *job = NULL;
    ReposeBytes *sentence = NULL;
    ReposeStatus status = REPOSE_OK;
    ReposeEngine *engine = engine_get(host_executable(), error);
    if (!engine || !settings_check(&PROCEDURES[work], settings, error)) return NULL;
    if (work != WORK_POSE && !picture->selected) {
        g_set_error_literal(error, SHIM_ERROR, REPOSE_CALLER, _("Nothing is selected: select the subject first."));
        return NULL;
    }
    gboolean read = picture_read(picture, &reading, error);
    if (read && work == WORK_POSE) {
        pins = pins_parse(settings->pins, error);
        read = pins != NULL;
        if (read && settings->guide >= 0) {
            read = host_layer_exists(picture->image, settings->guide);
            if (!read)
                g_set_error_literal(error, SHIM_ERROR, REPOSE_CALLER, _("The guide layer is not in this image (any more)."));
            read = read && picture_read_guide(picture, settings->guide, &guide, error);
        }
    }
    if (read) {
        if (work == WORK_LEARN) status = learn(settings, &reading, engine, &job, &sentence);
        if (work == WORK_POSE) status = pose(picture, settings, &reading, &guide, pins, engine, &job, &sentence);
        if (work == WORK_ERASE) status = erase(settings, &reading, engine, &job, &sentence);
        if (!engine_check(status, sentence, error)) job = NULL;
    }
    if (pins) g_array_free(pins, TRUE);
    reading_clear(&reading);
    reading_clear(&guide);
    return job;
}

ReposeJobStatus work_status(const ReposeJob *job) {
    ReposeJobStatus status = {.struct_size = sizeof status};
    if (engine_api()->job_status(job, &status) != REPOSE_OK) {
        status.state = REPOSE_STATE_FAILED;
        status.code = REPOSE_BUG;
    }
    return status;
}

double work_fraction(const ReposeJobStatus *status) {
    return status->total ? CLAMP((double)status->done / status->total, 0, 1) : 0;
}

char *work_line(const ReposeJobStatus *status) {
    /* gettext("") would give the catalogue's header. */
    const char *stage = status->stage[0] ? _(status->stage) : _("queued");
    int percent = (int)(100 * work_fraction(status));
    char *first = g_utf8_strup(stage, g_utf8_next_char(stage) - stage);
    char *name = g_strconcat(first, g_utf8_next_char(stage), NULL);
    int seconds = (int)CLAMP(ceil(status->eta_seconds), -1, 1e6);
    char *line = NULL;
    /* Words: what is being done, how much of it is done, and how long the rest will take. */
    if (seconds >= 60)
        line = g_strdup_printf(_("%s — %d %% — about %d min %d s left"), name, percent, seconds / 60, seconds % 60);
    else if (seconds > 0)
        line = g_strdup_printf(_("%s — %d %% — about %d s left"), name, percent, seconds);
    else
        line = g_strdup_printf(_("%s — %d %%"), name, percent);
    g_free(first);
    g_free(name);
    return line;
}

void work_error(const ReposeJob *job, const ReposeJobStatus *status, GError **error) {
    char *sentence = engine_job_text(job, REPOSE_BYTES_MESSAGE);
    g_set_error(error, SHIM_ERROR, status->code, "%s", sentence && *sentence ? sentence : _("Repose gave no reason."));
    g_free(sentence);
}

ReposeLayer work_layer(const ReposeJob *job, guint index) {
    ReposeLayer layer = {.struct_size = sizeof layer};
    if (engine_api()->job_layer(job, index, &layer) != REPOSE_OK) memset(&layer, 0, sizeof layer);
    return layer;
}

static void write_pixels(gint32 drawable, const ReposeLayer *layer, const Babl *format, gconstpointer from, gsize stride) {
    GeglRectangle rect = {0, 0, (int)layer->width, (int)layer->height};
    GeglBuffer *buffer = host_pixels(drawable);
    gegl_buffer_set(buffer, &rect, 0, format, from, (int)stride);
    gegl_buffer_flush(buffer);
    g_object_unref(buffer);
    host_pixels_written(drawable);
}

static gboolean insert_one(const Picture *picture, const ReposeLayer *layer, gboolean visible, GArray *layers) {
    GeglRectangle place = {picture->place.x + (int)layer->x, picture->place.y + (int)layer->y, (int)layer->width,
                           (int)layer->height};
    gboolean alpha = babl_format_has_alpha(picture->format) != 0;
    if (!layer->pixels || layer->depth != picture->depth || layer->channels != picture->channels) return FALSE;
    gint32 above = layers->len ? g_array_index(layers, gint32, layers->len - 1) : picture->layer;
    gint32 id = host_layer_insert(picture->image, above, layer->name, &place, alpha, visible);
    if (id == NONE) return FALSE;
    g_array_append_val(layers, id);
    gint32 mask = host_mask_add(id);
    if (mask == NONE) return FALSE;
    write_pixels(id, layer, picture->format, layer->pixels, layer->stride);
    write_pixels(mask, layer, mask_format(layer->mask_depth), layer->mask, layer->mask_stride);
    return TRUE;
}

/* Adds an object to the list of histories (JSON) that the image carries; what cannot be read is begun anew. */
static void note_history(gint32 image, const ReposeJob *job) {
    char *before = host_image_note(image, HISTORY), *now = engine_job_text(job, REPOSE_BYTES_HISTORY);
    JsonNode *list = before ? json_from_string(before, NULL) : NULL;
    JsonNode *entry = now ? json_from_string(now, NULL) : NULL;
    if (!list || !JSON_NODE_HOLDS_ARRAY(list)) {
        if (list) json_node_unref(list);
        list = json_node_new(JSON_NODE_ARRAY);
        json_node_take_array(list, json_array_new());
    }
    if (entry) {
        json_array_add_element(json_node_get_array(list), entry);
        char *all = json_to_string(list, FALSE);
        host_image_note_set(image, HISTORY, all);
        g_free(all);
    }
    json_node_unref(list);
    g_free(before);
    g_free(now);
}

gboolean work_insert(Picture *picture, const ReposeJob *job, int candidate, GArray *layers, GError **error) {
    guint before = layers->len;
    gboolean whole = TRUE;
    ReposeJobStatus status = work_status(job);
    if (!picture_whole(picture, error)) return FALSE;
    host_undo_begin(picture->image);
    for (guint i = 0; whole && i < status.layer_count; i++) {
        ReposeLayer layer = work_layer(job, i);
        if (candidate != NONE && (int)layer.candidate != candidate) continue;
        whole = insert_one(picture, &layer, candidate != NONE || layer.candidate == 0, layers);
    }
    if (whole) {
        note_history(picture->image, job);
    } else {
        for (guint i = before; i < layers->len; i++) host_layer_remove(picture->image, g_array_index(layers, gint32, i));
        g_array_set_size(layers, before);
        g_set_error_literal(error, SHIM_ERROR, REPOSE_DEVICE, _("GIMP could not add the layers. The image is as it was."));
    }
    /* The next pose is one of the picture again, not of a result. */
    host_layer_activate(picture->image, picture->layer);
    host_undo_end(picture->image);
    host_redraw();
    return whole;
}
