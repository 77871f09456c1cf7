"""Recurrent networks written out step by step, for tests."""

import torch


def literal_direction(rnn, x):
    """States of one direction over steps (T, D), by the equations of the LSTM or GRU."""
    weight, recurrent = rnn.weight_ih_l0, rnn.weight_hh_l0
    bias, recurrent_bias = rnn.bias_ih_l0, rnn.bias_hh_l0
    size = recurrent.shape[1]
    h, c, states = x.new_zeros(size), x.new_zeros(size), []
    for step in x:
        given, kept = weight @ step + bias, recurrent @ h + recurrent_bias
        if isinstance(rnn, torch.nn.LSTM):
            i, f, g, o = (given + kept).chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        else:
            (r1, z1, n1), (r2, z2, n2) = given.chunk(3), kept.chunk(3)
            z = (z1 + z2).sigmoid()
            h = (1 - z) * (n1 + (r1 + r2).sigmoid() * n2).tanh() + z * h
        states.append(h)
    return states


def literal_encoder(encoder, x):
    """States (T, 2H) of both directions, and the last of each."""
    size = encoder.ahead.hidden_size
    if not len(x):
        return x.new_zeros(0, 2 * size), x.new_zeros(2 * size)
    forward, backward = literal_direction(encoder.ahead, x), literal_direction(encoder.back, x.flip(0))
    states = torch.stack([torch.cat([a, b]) for a, b in zip(forward, backward[::-1])])
    return states, torch.cat([forward[-1], backward[-1]])
