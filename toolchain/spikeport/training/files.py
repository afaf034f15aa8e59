"""What the files in the folder of a training are called."""

RECIPE, METRICS, TABLE, CURVES = "recipe.toml", "metrics.json", "metrics.csv", "curves.png"
BEST, LAST, RESUME = "best.safetensors", "last.safetensors", "resume.safetensors"
EPOCHS = "epochs"  #: a folder with the checkpoints of the epochs that were asked to be kept
FILES = (RECIPE, METRICS, TABLE, CURVES, BEST, LAST, RESUME)
