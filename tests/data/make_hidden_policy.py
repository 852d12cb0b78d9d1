"""Sigmoid policies with one hidden layer (4 - h - 1) in PyTorch, float64: probabilities, log-probabilities, the gradient of each by every
parameter from autograd, and one REINFORCE update with Adam. Parameters are those of torch.nn.Linear in its own order.

    python make_hidden_policy.py --seed 1
"""
import argparse
import json

import torch

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--out", default="hidden_policy.json")
args = parser.parse_args()
torch.manual_seed(args.seed)
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
GAMMA, LEARNING_RATE = 0.96875, 0.0625


def network_of(hidden, activation):
    unit = {"tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}[activation]
    network = torch.nn.Sequential(torch.nn.Linear(4, hidden), unit(), torch.nn.Linear(hidden, 1))
    for parameter in network.parameters():  # floats, wider than PyTorch's own initialisation
        parameter.data = (1.5 * torch.randn_like(parameter)).float().double()
    return network


def flat(tensors):
    return [x for tensor in tensors for x in tensor.reshape(-1).tolist()]


def log_prob(network, observations, actions):
    return torch.distributions.Bernoulli(logits=network(observations)[..., 0]).log_prob(actions)


def make(hidden, activation):
    network = network_of(hidden, activation)
    policy = {"hidden": hidden, "activation": activation, "parameters": flat(network.parameters()), "steps": []}
    for _ in range(6):
        observation = torch.randn(4).float().double()
        for action in (0.0, 1.0):
            network.zero_grad()
            value = log_prob(network, observation, torch.tensor(action))
            value.backward()
            policy["steps"].append({
                "observation": observation.tolist(), "action": int(action), "probability": torch.sigmoid(network(observation))[0].item(),
                "log_prob": value.item(), "gradient": flat(p.grad for p in network.parameters())})
    episodes, loss = [], 0.0
    for length in (8, 6):
        observations = torch.randn(length, 4).float().double()
        actions = torch.randint(0, 2, (length,)).double()
        returns = [0.0] * (length + 1)
        for t in reversed(range(length)):
            returns[t] = 1.0 + GAMMA * returns[t + 1]
        loss = loss - (torch.tensor(returns[:-1]) * log_prob(network, observations, actions)).sum() / 2
        episodes.append({"observations": observations.tolist(), "actions": actions.int().tolist()})
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    optimizer.zero_grad()
    loss.backward()
    gradient = flat(p.grad for p in network.parameters())
    optimizer.step()
    policy["update"] = {"episodes": episodes, "gradient": gradient, "parameters": flat(network.parameters())}
    return policy


policies = [make(h, activation) for h in (1, 3, 8, 16) for activation in ("tanh", "sigmoid")]
with open(args.out, "w") as file:
    json.dump({"gamma": GAMMA, "learning_rate": LEARNING_RATE, "policies": policies}, file)
    file.write("\n")
