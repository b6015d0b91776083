// SPDX-License-Identifier: BSD-2-Clause
// Runs a traced or scripted model without Python: MODEL.pt, and inputs as rows of text on the standard input.
//
//     torch=$(python -c 'import torch; print(torch.__path__[0])')
//     g++ -std=c++20 libtorch.cpp -o libtorch -I$torch/include -I$torch/include/torch/csrc/api/include
//         -L$torch/lib -Wl,-rpath,$torch/lib -ltorch -ltorch_cpu -lc10
//     ./libtorch kw_spot_ltc.pt 160 40 < features.txt
//
// prints the outputs of one sequence of 160 frames of 40 features, one a line, with all their digits.
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <vector>

int main(int count, char **arguments) {
    if (count != 4) {
        std::fprintf(stderr, "usage: %s MODEL.pt FRAMES FEATURES < FEATURES.txt\n", arguments[0]);
        return 2;
    }
    const long frames = std::atol(arguments[2]), features = std::atol(arguments[3]);
    if (frames < 1 || features < 1) {
        std::fprintf(stderr, "FRAMES and FEATURES are %ld and %ld; expected at least 1\n", frames, features);
        return 2;
    }
    std::vector<float> values(static_cast<size_t>(frames * features));
    for (float &value : values)
        if (!(std::cin >> value)) {
            std::fprintf(stderr, "the input ends too soon; expected %zu numbers\n", values.size());
            return 2;
        }
    try {
        torch::jit::Module module = torch::jit::load(arguments[1]);
        module.eval();
        at::Tensor input = at::from_blob(values.data(), {1, frames, features}, at::kFloat);
        at::Tensor output = module.forward({input}).toTensor().contiguous();
        for (int64_t index = 0; index < output.numel(); ++index)
            std::printf("%.9g\n", output.data_ptr<float>()[index]);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
