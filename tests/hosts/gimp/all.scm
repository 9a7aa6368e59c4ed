; For both: what a script does that an error may end.
(define PHOTO-PINS "330,390 520,400; 440,380\n430,310 410,215:360,228@-28")
(define SMALL-PINS "165,195 260,200; 220,190\n215,155 205,107.5:180,114@-28^1")
(define (selected-picture picture mask precision)
  (let ((image (load-image picture)))
    (convert image precision)
    (select-mask image mask)
    image))
(define (photo) (selected-picture "teddy.jpg" "teddy_mask.png" 0))
; The photo at half its size, for what does not need all of it.
(define (small precision) (selected-picture "small.png" "small_mask.png" precision))
; Calls `work`; says NAME and what came, or NAME and the error's message.
(define (attempt name work)
  (let ((usual *error-hook*))
    (say name ": "
      (call-with-current-continuation
        (lambda (leave)
          (set! *error-hook* (lambda words (leave (apply string-append (map (lambda (w) (if (string? w) w "")) words)))))
          (let ((came (work))) (if (number? came) (number->string came) "done")))))
    (set! *error-hook* usual)))
; The whole job: base alone, with result, and what is seen of both, read back from the saved file.
(define (whole-job image name kind pins)
  (let ((layer (base image)))
    (save image (string-append name "-before.xcf"))
    (learn-from image layer "teddy" "my own toy" 0 0 "")
    (say name ": " (number->string (pose-with image layer "teddy" pins 1 "")))
    (save image (string-append name ".xcf"))
    (close image))
  (for-each
    (lambda (stem)
      (let ((image (load-image (string-append stem ".xcf"))))
        (flatten image)
        (save image (string-append stem "-seen." kind))
        (close image)))
    (list name (string-append name "-before"))))
