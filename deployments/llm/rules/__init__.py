"""A demo brain made of rules: no language model, no weights, no network. It says so itself."""

from deployments.llm.rules.brain import RulesLlm

__all__ = ["RulesLlm"]
