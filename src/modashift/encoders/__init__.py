"""Frozen pre-trained encoders of pictures, speech and texts, and the hidden states of any of their layers.

After A. Ando et al., "On the Use of Modality-Specific Large-Scale Pre-Trained Encoders for Multimodal Sentiment
Analysis", SLT 2022. Layer 0 is what enters the first Transformer layer, n the output of the nth, before any final norm.

``names`` knows short names, ``sources`` finds files, ``blocks`` watches a model's layers, ``base`` runs it;
``pictures``, ``speech`` and ``texts`` are the three kinds, ``load`` makes them by name. ``states`` turns recordings
into features, ``encode`` adds those of texts to a data set.

    encoder = load_encoder("wavlm-large", "acoustic", layers="13,14")
    for part in encoder.states(sound, rate=5.0):
        part.times, part.values  # (T,) seconds, (T, 2, 1024)
"""
