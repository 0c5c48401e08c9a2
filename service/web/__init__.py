"""The page: what the API does, for eyes and a mouse. Rendered here, with small scripts on top.

    pages        templates to answers: the headers, the words around them
    page_route   the route class of all pages: an error becomes a page that says what to do
    assets       scripts, styles and pictures, kept by browsers for ever
    formats      how numbers, times and sizes are written
    forms        the fields of a form, as the API's wishes want them; `choices`: what they offer
    sign_in      the key, the cookie, the link that `nightshift up` prints; `keys`: a tenant's
    router       all pages together

    datasets     the list, uploads, one dataset with its counts, what was found in it
    frames       the grid, one frame, day and night under a slider
    translations what generators make of one's own frames, and the start
    jobs         the list, one job as it happens
    generators   their cards, the import of checkpoints
    learning     trainings of generators, experiments with detectors

They call what the API's routes call, with the same caller. No script or style of another host is ever loaded.
"""
