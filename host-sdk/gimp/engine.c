#include "engine.h"

#include <gmodule.h>
#include <string.h>

#include "words.h"

static const ReposeApi *api;
static ReposeEngine *engine;

GQuark shim_error_quark(void) { return g_quark_from_static_string("repose-shim"); }

const ReposeApi *engine_api(void) { return api; }

/* The library beside the executable, else the one that REPOSE_PLUGIN names. */
static char *library_path(const char *executable) {
    char *folder = g_path_get_dirname(executable);
#ifdef G_OS_WIN32
    char *beside = g_build_filename(folder, "repose.dll", NULL);
#elif defined(__APPLE__)
    char *beside = g_build_filename(folder, "librepose.dylib", NULL);
#else
    char *beside = g_build_filename(folder, "librepose.so", NULL);
#endif
    g_free(folder);
    const char *named = g_getenv("REPOSE_PLUGIN");
    if (!g_file_test(beside, G_FILE_TEST_EXISTS) && named && *named) {
        g_free(beside);
        beside = g_strdup(named);
    }
    return beside;
}

static gboolean load(const char *executable, GError **error) {
    char *path = library_path(executable);
    gpointer symbol = NULL;
    GModule *module = g_module_open(path, G_MODULE_BIND_LOCAL);
    if (!module || !g_module_symbol(module, "repose_api", &symbol) || !symbol) {
        g_set_error(error, SHIM_ERROR, REPOSE_FILES,
                    _("The Repose library cannot be loaded (%s). Install the plug-in again, with its whole folder."),
                    g_module_error());
    } else {
        ReposeApiFn get;
        g_module_make_resident(module); /* the plugin is never unloaded */
        memcpy(&get, &symbol, sizeof get); /* C has no cast from an object to a function */
        api = get(REPOSE_VERSION);
        if (!api)
            g_set_error(error, SHIM_ERROR, REPOSE_FILES,
                        _("%s is older than this plug-in. Install the plug-in again, with its whole folder."), path);
    }
    g_free(path);
    return api != NULL;
}

ReposeEngine *engine_get(const char *executable, GError **error) {
    ReposeBytes *sentence = NULL;
    if (engine) return engine;
    if (!api && !load(executable, error)) return NULL;
    ReposeStatus status = api->engine_open(NULL, &engine, &sentence);
    return engine_check(status, sentence, error) ? engine : NULL;
}

gboolean engine_check(ReposeStatus status, ReposeBytes *sentence, GError **error) {
    if (status == REPOSE_OK) return TRUE;
    if (status == REPOSE_BUSY)
        g_set_error_literal(error, SHIM_ERROR, status, _("Repose is busy: try again when a job has ended."));
    else
        g_set_error(error, SHIM_ERROR, status, "%s",
                    sentence && sentence->size ? sentence->data : _("Repose gave no reason."));
    if (sentence) api->bytes_free(sentence);
    return FALSE;
}

char *engine_job_text(const ReposeJob *job, ReposeBytesKind kind) {
    ReposeBytes *bytes = NULL;
    if (api->job_bytes(job, kind, &bytes) != REPOSE_OK) return NULL;
    char *text = g_strndup(bytes->data, bytes->size);
    api->bytes_free(bytes);
    return text;
}

void engine_close(void) {
    if (engine) api->engine_close(engine);
    engine = NULL;
}
