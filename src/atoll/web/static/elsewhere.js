// A server elsewhere: the command is copied by a button.
import { copyButtons } from "./copy.js";

copyButtons();
