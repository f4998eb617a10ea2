"""The parts of torch without a public name that the memory plan uses; only this file imports them.

FakeTensorMode      operations on tensors without data, with the CPU's own choice of kernels
TorchDispatchMode   stands between torch and the kernels
tree_leaves         the tensors in an operation's result
"""

from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["FakeTensorMode", "TorchDispatchMode", "tree_leaves"]
