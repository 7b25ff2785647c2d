// The page of people in a server: what to copy for visitors.
import { copyButtons } from "./copy.js";

copyButtons();
