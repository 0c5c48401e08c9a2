"""The page: what the API does, for eyes and a mouse. Rendered here, with small scripts on top.

    pages        templates to answers: the headers, the words around them
    page_route   the route class of all pages: an error becomes a page that says what to do
    formats      how numbers, times and sizes are written
    forms        the fields of a form, as the API's wishes want them
    charts       a dataset's counts as bars
    reports      what was found while a dataset was made, by code and page by page
    static       scripts and styles, kept by browsers for ever
    sign_in      the key, the cookie, the link that `nightshift up` prints
    router       all pages together

The rest is a noun each: datasets, frames, translations, jobs, generators, trainings, experiments, keys.
They call what the API's routes call, with the same caller. No script or style of another host is ever loaded.
"""
