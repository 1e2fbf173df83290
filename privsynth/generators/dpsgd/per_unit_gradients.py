"""Book-keeping: the clipped sum of per-unit gradients from one backward pass, on Opacus' module.

Opacus' ghost clipping runs the backward pass twice, once for the norms and once for the clipped sum, and each pass
also forms weight gradients, the first of which are thrown away. Here one pass finds the gradient of the loss at the
outputs of each linear layer and nothing else. With the layer's inputs, noted on the way forward, that is all there is
to know: a unit with rows t = 1 … T has the weight gradient Σ_t g_t a_tᵀ, so that

* its squared norm is Σ_st (a_s·a_t)(g_s·g_t): the Gram form, which is right when rows of a unit share inputs (several
  rows, several masks of one row, repeated one-hot codes), where a product of norms is not. If the layer is so small
  that forming g_t a_tᵀ takes fewer operations, that is done instead;
* the clipped sum over units is one product of matrices a layer, with the coefficients in its inner dimension.

Opacus' checks of the module (no buffers, no layer that mixes rows) run in its constructor; layers other than
`nn.Linear` and `CodesLinear`, whose inputs are codes, and a layer that is used twice in one pass, are refused.

Source: Bu, Wang, Zha & Karypis 2022 (arXiv 2210.00038); ghost norms: Goodfellow 2015 (1510.01799), Li et al. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import GradSampleModuleFastGradientClipping
from torch import nn

from privsynth.generators.dpsgd.codes_layer import CodesLinear, equal_codes, summed_gradient

MARGIN = 1e-6  # the threshold is missed by this part, which covers the rounding of double precision
_CANCELLATION = 1e-12  # of the largest the norm could be: covers digits that sums of double precision cancel


@dataclass(frozen=True)
class _Record:
    """One layer in one forward pass: inputs (units, …, in), outputs (units, …, out) with their graph."""

    layer: nn.Linear
    inputs: torch.Tensor
    outputs: torch.Tensor


class BookKeepingModule(GradSampleModuleFastGradientClipping):
    """A module whose clipped gradient sum takes one backward pass.

    Call it on inputs (units, …, width), make one loss a unit, and hand the losses to `clipped_backward`.

    Args:
      module: linear layers hold all of its trainable parameters; the first dimension is the unit throughout.
      clip: C, the bound on the norm of a unit's part of the sum.
    Raises:
      NotImplementedError: the module holds buffers, or a trainable layer that is not linear.
    """

    def __init__(self, module: nn.Module, *, clip: float) -> None:
        self._records: list[_Record] = []
        super().__init__(module, loss_reduction="sum", max_grad_norm=clip, use_ghost_clipping=True)

    def add_hooks(
        self, *, loss_reduction: str = "sum", batch_first: bool = True, force_functorch: bool = False
    ) -> None:
        """Note inputs and outputs on the way forward; there are no hooks on the way back."""
        handles = []
        for layer in self.iterate_submodules(self._module):
            if type(layer) not in (nn.Linear, CodesLinear):
                raise NotImplementedError(f"no per-unit gradients of a trainable {type(layer).__name__}")
            handles.append(layer.register_forward_hook(self.capture_activations_hook))
        self._module.autograd_grad_sample_hooks = self.autograd_grad_sample_hooks = handles
        self.enable_hooks()

    def capture_activations_hook(
        self, module: nn.Module, forward_input: tuple[torch.Tensor, ...], _forward_output: torch.Tensor
    ) -> None:
        """Note one layer."""
        if not (self.hooks_enabled and module.training and torch.is_grad_enabled()):
            return
        if any(record.layer is module for record in self._records):
            raise NotImplementedError("a layer took part twice before its gradients were asked for")
        assert isinstance(module, nn.Linear)
        self._records.append(_Record(module, forward_input[0].detach(), _forward_output))

    def forget(self) -> None:
        """Drop what was noted."""
        self._records.clear()

    def clipped_backward(self, losses: torch.Tensor) -> torch.Tensor:
        """Leave in `p.grad` the sum of the units' gradients, each clipped; return the norms, which are private.

        Guarantee: each unit's part is a function of its own rows and has norm at most `clip`, up to rounding, which
          the margin covers in double precision. A unit whose loss or gradient is not finite has no part in it.
        Args:
          losses: (units,) sums over each unit's rows.
        """
        records, self._records = self._records, []
        if {id(record.layer) for record in records} != {id(m) for m in self.iterate_submodules(self._module)}:
            raise RuntimeError("each layer must take part in the forward pass once before the gradients are asked for")
        units = len(losses)
        grads = torch.autograd.grad(losses.sum(), [record.outputs for record in records])
        pairs = [
            (record.inputs.reshape(units, -1, record.inputs.shape[-1]), grad.reshape(units, -1, grad.shape[-1]))
            for record, grad in zip(records, grads, strict=True)
        ]
        squared = torch.zeros_like(losses, requires_grad=False)
        for record, (inputs, grad) in zip(records, pairs, strict=True):
            of_layer = squared_norms_of_codes if isinstance(record.layer, CodesLinear) else squared_norms
            squared = squared + of_layer(inputs, grad, bias=record.layer.bias is not None)
        norms = squared.sqrt()
        good = torch.isfinite(norms) & torch.isfinite(losses.detach())
        coefficient = (self.max_grad_norm * (1 - MARGIN) / norms.clamp(min=1e-300)).clamp(max=1.0)
        coefficient = torch.where(good, coefficient, 0.0)
        all_good = bool(good.all())
        for record, (inputs, grad) in zip(records, pairs, strict=True):
            if not all_good:  # 0 · ∞ is not a number: a zero coefficient is not enough
                inputs, grad = (torch.where(good[:, None, None], values, 0) for values in (inputs, grad))
            _set_weighted_sum(record.layer, inputs, grad, coefficient)
        return norms


def squared_norms(inputs: torch.Tensor, grads: torch.Tensor, *, bias: bool) -> torch.Tensor:
    """Return (units,) squared norms of Σ_t g_t a_tᵀ (and of Σ_t g_t, if there is a bias), rounded up.

    What cancels between rows of a unit cancels up to rounding only, which grows with Σ_t ‖a_t‖‖g_t‖ rather than with
    the result. A small part of that is added, so that the true norm is never above what is returned by more than
    `MARGIN`, and so that a coefficient never blows up rows whose gradients all but cancel.

    Args:
      inputs: (units, T, in), a.
      grads: (units, T, out), g.
    """
    rows = inputs.shape[1]
    of_inputs = torch.linalg.vector_norm(inputs, dim=2).square() + (1.0 if bias else 0.0)
    of_grads = torch.linalg.vector_norm(grads, dim=2).square()
    if rows == 1:
        return (of_inputs * of_grads)[:, 0]
    if gram_is_cheaper(rows, inputs.shape[2], grads.shape[2]):
        between = torch.bmm(inputs, inputs.transpose(1, 2)) + (1.0 if bias else 0.0)
        squared = (between * torch.bmm(grads, grads.transpose(1, 2))).sum(dim=(1, 2)).clamp(min=0.0)
    else:
        squared = torch.bmm(grads.transpose(1, 2), inputs).pow(2).sum(dim=(1, 2))
        if bias:
            squared = squared + grads.sum(dim=1).pow(2).sum(dim=1)
    return squared + _CANCELLATION * (of_inputs * of_grads).sqrt().sum(dim=1).pow(2)


def squared_norms_of_codes(codes: torch.Tensor, grads: torch.Tensor, *, bias: bool) -> torch.Tensor:
    """Return what `squared_norms` does for one-hot inputs, by the Gram form: rows meet where they have equal codes.

    Args:
      codes: (units, T, attributes); −1 for a block of zeros.
      grads: (units, T, out), g.
    """
    more = 1.0 if bias else 0.0
    of_inputs = (codes >= 0).sum(dim=2) + more
    of_grads = torch.linalg.vector_norm(grads, dim=2).square()
    if codes.shape[1] == 1:
        return (of_inputs * of_grads)[:, 0]
    between = equal_codes(codes) + more
    squared = (between * torch.bmm(grads, grads.transpose(1, 2))).sum(dim=(1, 2)).clamp(min=0.0)
    return squared + _CANCELLATION * (of_inputs * of_grads).sqrt().sum(dim=1).pow(2)


def gram_is_cheaper(rows: int, inputs: int, outputs: int) -> bool:
    """Return whether T²(in + out) operations are fewer than the T·in·out of the gradient itself."""
    return rows * (inputs + outputs) < inputs * outputs


def _set_weighted_sum(layer: nn.Linear, inputs: torch.Tensor, grads: torch.Tensor, coefficient: torch.Tensor) -> None:
    weighted = grads.mul_(coefficient[:, None, None]).flatten(0, 1)  # in place: nobody else needs them
    if isinstance(layer, CodesLinear):
        layer.weight.grad = summed_gradient(layer, inputs.flatten(0, 1), weighted)
    else:
        layer.weight.grad = weighted.T @ inputs.flatten(0, 1)
    if layer.bias is not None:
        layer.bias.grad = weighted.sum(dim=0)
