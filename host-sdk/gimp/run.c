#include "run.h"

#include "dialog.h"
#include "engine.h"
#include "host.h"
#include "words.h"
#include "work.h"

#define POLL_MS 40

/* A job without a dialog: GIMP's own progress bar. */
typedef struct Quiet {
    ReposeJob *job;
    GMainLoop *loop;
    ReposeJobStatus status;
} Quiet;

static gboolean quiet_poll(gpointer data) {
    Quiet *quiet = data;
    quiet->status = work_status(quiet->job);
    if (quiet->status.state >= REPOSE_STATE_DONE) {
        g_main_loop_quit(quiet->loop);
        return FALSE;
    }
    char *line = work_line(&quiet->status);
    host_progress(line, work_fraction(&quiet->status)); /* ends this process if GIMP is gone */
    g_free(line);
    return TRUE;
}

static RunEnd run_quietly(Work work, Picture *picture, const Settings *settings, GArray *layers, GError **error) {
    RunEnd end = RUN_FAILED;
    Quiet quiet = {.job = work_start(work, picture, settings, error)};
    if (!quiet.job) return RUN_FAILED;
    quiet.loop = g_main_loop_new(NULL, FALSE);
    host_progress_begin(_(PROCEDURES[work].menu));
    g_timeout_add(POLL_MS, quiet_poll, &quiet);
    g_main_loop_run(quiet.loop);
    g_main_loop_unref(quiet.loop);
    host_progress_end();
    if (quiet.status.state == REPOSE_STATE_DONE)
        end = work == WORK_LEARN || work_insert(picture, quiet.job, NONE, layers, error) ? RUN_DONE : RUN_FAILED;
    else
        work_error(quiet.job, &quiet.status, error);
    engine_api()->job_free(quiet.job);
    return end;
}

RunEnd run(Work work, gint32 image, gint32 drawable, gboolean dialog, Settings *settings, GArray *layers, GError **error) {
    Picture picture;
    RunEnd end = RUN_FAILED;
    gegl_init(NULL, NULL);
    if (picture_open(&picture, image, drawable, error))
        end = dialog ? dialog_run(work, &picture, settings, layers, error)
                     : run_quietly(work, &picture, settings, layers, error);
    picture_close(&picture);
    engine_close();
    return end;
}
