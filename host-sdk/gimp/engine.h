/* The plugin library and its one engine in this process. Main thread only. */
#ifndef ENGINE_H
#define ENGINE_H

#include <glib.h>

#include "repose.h"

/* Errors of the shim: the code is a ReposeStatus, the message a sentence for the user. */
#define SHIM_ERROR (shim_error_quark())
GQuark shim_error_quark(void);

/* The engine, opened at the first call: loads the library beside the executable, else the one that REPOSE_PLUGIN names.
 * NULL and an error if there is none. It belongs to this file. */
ReposeEngine *engine_get(const char *executable, GError **error);

/* The plugin's table, once engine_get() has succeeded. */
const ReposeApi *engine_api(void);

/* Turns a status and the plugin's sentence (which it frees) into an error. TRUE if the status is REPOSE_OK. */
gboolean engine_check(ReposeStatus status, ReposeBytes *sentence, GError **error);

/* A text of a job as an ordinary string, or NULL. Free with g_free(). */
char *engine_job_text(const ReposeJob *job, ReposeBytesKind kind);

/* Ends the engine; a job at work is cancelled and its step waited for. */
void engine_close(void);

#endif
