"""What features detect, by measurement (thesis section 4.3).

:mod:`.top_images` finds the images that activate a feature most, :mod:`.network_dissection` the
overlap of its maps with concepts, :mod:`.localization` what share of its saliency lies on them,
against chance (:mod:`.placements`); :mod:`.labels` and :mod:`.judgment` decide what it points
at.  :mod:`.labeler` does all of it for the features of some layers.  That this can be trusted
is the matter of :mod:`.ground_truth_features`, :mod:`.validation` and :mod:`.validation_die`.
"""
