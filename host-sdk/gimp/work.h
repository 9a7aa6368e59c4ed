/* One job: from settings to a request, and from its result to layers. */
#ifndef WORK_H
#define WORK_H

#include "pixels.h"
#include "procedures.h"
#include "repose.h"

/* Queues the work. NULL and an error if it was refused at once. Give the job back with job_free(). */
ReposeJob *work_start(Work work, const Picture *picture, const Settings *settings, GError **error);

/* Where the job is. */
ReposeJobStatus work_status(const ReposeJob *job);

/* "Stage — 40 % — about 5 s left"; free with g_free(). */
char *work_line(const ReposeJobStatus *status);

/* Between 0 and 1. */
double work_fraction(const ReposeJobStatus *status);

/* The plugin's sentence about why the job failed. */
void work_error(const ReposeJob *job, const ReposeJobStatus *status, GError **error);

/* One layer of the result. */
ReposeLayer work_layer(const ReposeJob *job, guint index);

/* Puts the layers of a finished job above the picture's layer, in one undo step, and notes its history on the image.
 * `candidate` is the only one to put there, or NONE for all, of which the first is visible. On failure nothing stays. */
gboolean work_insert(Picture *picture, const ReposeJob *job, int candidate, GArray *layers, GError **error);

#endif
