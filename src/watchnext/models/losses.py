"""Losses of both stages: sampled softmax with the log q correction, and weighted logistic regression."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from watchnext.models.config import Weighting


def sampled_softmax(
    user: Tensor,
    positive_vectors: Tensor,
    positive_ids: Tensor,
    negative_vectors: Tensor,
    negative_ids: Tensor,
    log_q: Tensor,
    known_ids: Tensor | None = None,
) -> Tensor:
    """Mean over examples of −log softmax of the positive, the sum over all videos estimated from shared samples.

    Of n draws from q, Σ exp(s_j) / (n q_j) over those that are not the positive estimates the softmax's sum over all
    other videos without bias. Hence a negative's logit is s − log(n q): what is drawn often counts less (paper,
    section 3.1: "correct for this sampling via importance weighting"). The positive is not drawn, so it has no
    correction; a draw that hits it is removed. So is a draw of a video that the example's user knew: no list may hold
    it, hence nothing is learnt by telling it apart.

    Args:
        user: `[batch, dim]`.
        positive_vectors: `[batch, dim]`.
        positive_ids: `[batch]`, video rows.
        negative_vectors: `[samples, dim]`, drawn with replacement.
        negative_ids: `[samples]`, video rows.
        log_q: `[samples]`, natural log of the probability with which one draw gives this video.
        known_ids: `[batch, known]`, video rows that are no alternative for an example; 0 where there are fewer.
    """
    positive = (user * positive_vectors).sum(dim=1, keepdim=True)  # (B, 1)
    negative = user @ negative_vectors.T - (log_q + math.log(len(log_q)))  # (B, S)
    taken = positive_ids[:, None] if known_ids is None else torch.cat([positive_ids[:, None], known_ids], dim=1)
    negative = negative.masked_fill(_members(negative_ids, taken), -torch.inf)
    return (torch.cat([positive, negative], dim=1).logsumexp(dim=1) - positive.squeeze(1)).mean()


def _members(ids: Tensor, sets: Tensor) -> Tensor:
    """`[batch, ids]`: whether each of `ids` is in the example's line of `sets` `[batch, members]`.

    By binary search among the distinct ids: comparing all with all would cost their product in time and memory.
    """
    distinct, column = ids.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    at = torch.searchsorted(distinct, sets).clamp(max=len(distinct) - 1)
    at = at.masked_fill(distinct[at] != sets, len(distinct))  # the last column takes what is not there
    found = torch.zeros(len(sets), len(distinct) + 1, dtype=torch.bool, device=ids.device)
    return found.scatter_(1, at, True)[:, column]


def weighted_logistic(logit: Tensor, clicked: Tensor, seconds: Tensor, weighting: Weighting = "expected") -> Tensor:
    """Logistic loss whose odds e^logit are seconds of watch time, mean over impressions; all arguments `[batch]`.

    "expected": every impression is a negative of weight 1, and a clicked one adds a positive of weight T seconds. The
    odds of N impressions are ΣT / N, the expected watch time. "paper" (section 4.2): a clicked impression is a positive
    of weight T, an unclicked one a negative of weight 1. The odds are ΣT / (N − k), too high where clicks are common.
    An unclicked impression has T = 0 whatever `seconds` says.
    """
    clicked = clicked.to(logit.dtype)
    negatives = torch.ones_like(clicked) if weighting == "expected" else 1 - clicked
    positives = clicked * seconds.to(logit.dtype)
    return (negatives * functional.softplus(logit) + positives * functional.softplus(-logit)).mean()
